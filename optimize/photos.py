"""`python -m optimize.photos`: measure what photos are like, for presets 5 and 6."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from optimize.command.arguments import Parser
from optimize.errors import OptimizeError
from optimize.output.files import write
from optimize.parametrise.photo_statistics import measure
from toolbox.command_line import exit_status
from toolbox.pictures.crop import crop_to
from toolbox.pictures.image_file import ImageError, read_image
from toolbox.pictures.images import Image, resize

PROGRAM = "python -m optimize.photos"
SIDE = 224  # pixels; the spectrum of photos falls as it does at any size
MOST = 500
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def photo_files(folder: Path, most: int = MOST) -> list[Path]:
    """Return photos in a folder and those below it, evenly chosen where there are many.

    Raises
    ------
    OptimizeError
        There is none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _ENDINGS and not path.name.startswith(".")
    )
    if not found:
        raise OptimizeError(
            f"there is no photo in {folder}; files that end in {', '.join(_ENDINGS)} are taken"
        )
    return found[:: -(-len(found) // most)]


def read_square(path: Path, side: int = SIDE) -> Image:
    """Return a photo's largest centred square as RGB, resized.

    Raises
    ------
    OptimizeError
        It can't be read.
    """
    try:
        return resize(crop_to(read_image(str(path))), side, side)
    except ImageError as error:
        raise OptimizeError(str(error)) from error


def read_all(paths: Sequence[Path]) -> list[Image]:
    """Return the photos' squares; what can't be read is said and left out."""
    out = []
    for path in paths:
        try:
            out.append(read_square(path))
        except OptimizeError as error:
            print(f"note: {error}; it is left out", file=sys.stderr)
    return out


def run(words: Sequence[str]) -> None:
    """Do what the command line asks for."""
    parser = Parser(prog=PROGRAM, allow_abbrev=False, description="Measure the colours' "
                    "correlation and the spectrum of photos, for python -m optimize "
                    "--photo-statistics.")  # fmt: skip
    parser.add_argument("photos", type=Path, metavar="FOLDER", help=f"photos ({MOST} at most)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON file")
    options = parser.parse_args(words)
    photos = read_all(photo_files(options.photos))
    write(options.out, measure(photos).to_json().encode())
    print(f"{options.out}, of {len(photos)} photos")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 2 after a sentence, 130 when stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    return exit_status(PROGRAM, lambda: run(words), (OptimizeError,), "stopped")


if __name__ == "__main__":
    sys.exit(main())
