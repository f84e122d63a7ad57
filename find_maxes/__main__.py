"""`python -m find_maxes`: says which commands there are."""

import sys

COMMANDS = """\
find_maxes has three commands; each lists its options with --help:
  python -m find_maxes.find_max_acts      find the images that excite each unit most
  python -m find_maxes.crop_max_patches   write the patches they see, with deconv and backprop
  python -m find_maxes.label_masks        find the concept of a folder of masks that each covers"""

if __name__ == "__main__":
    print(COMMANDS, file=sys.stderr)
    sys.exit(2)
