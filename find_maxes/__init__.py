"""Patches of a data set that activate a unit most, and the deconv of each (paper, section 2).

`python -m find_maxes.find_max_acts` goes once through a list of images and keeps, for every
unit of every layer, the images that excite it most; `python -m find_maxes.crop_max_patches`
writes the patches that these units see, with their deconv and backprop. docs/find_maxes.md
says how; docs/scaling.md how on a cluster. It may import torchcaffe, toolbox.images and
toolbox.imagefile; the command lines take defaults from `settings`.
"""
