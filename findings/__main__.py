"""`python -m findings`: what the bundled model's units do, each finding by one command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torchcaffe as caffe
from findings import layers, units
from findings.lab import FindingsError, Lab, Photo
from findings.registry import FINDINGS
from optimize.command import settings_defaults
from optimize.command.arguments import Parser, count
from optimize.command.open_model import open_optimizer
from optimize.errors import OptimizeError
from toolbox.command_line import exit_status
from toolbox.pictures.image_file import ImageError, write_image
from toolbox.pictures.images import Image

PROGRAM = "python -m findings"
MODULES = (units, layers)  # importing them fills the registry
ROOT = Path(__file__).resolve().parents[1]
SPLIT = ROOT / "models" / "caffenet-caltech101" / "split.txt"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    listed = "\n".join(f"  {name:12} {row.question}" for name, row in FINDINGS.items())
    parser = Parser(prog=PROGRAM, allow_abbrev=False, description="Show findings about the bundled "
                    "model on held-out photos.", epilog="findings:\n" + listed,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    add = parser.add_argument
    add("names", nargs="*", metavar="FINDING", help="which (none: list them; all: all of them)")
    add("--photos", type=Path, metavar="DIR", help="Caltech-101: a folder a category")
    add("--out", type=Path, default=Path(), metavar="DIR", help="for the pictures (here)")
    add("--settings", type=Path, metavar="FILE", help="instead of settings_local.py")
    add("--split", type=Path, default=SPLIT, metavar="FILE", help="lines 'test path' (the model's)")
    add("--threads", type=count, metavar="N", help="processor threads")
    return parser.parse_args(arguments)


def held_out(folder: Path | None, split: Path) -> list[Photo]:
    """Return the held-out photos.

    Raises
    ------
    FindingsError
        Folder or list is missing, or none of the photos is there.
    """
    if folder is None or not folder.is_dir():
        problem = f"there is no folder {folder}" if folder else "--photos is missing"
        raise FindingsError(
            f"{problem}; it names the folder of Caltech-101 with one folder a category "
            "(https://data.caltech.edu/records/mzrjq-6wc02, CC BY 4.0)"
        )
    try:
        lines = split.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise FindingsError(f"{split} cannot be read: {error.strerror}") from error
    paths = [line.split(None, 1)[1].strip() for line in lines if line.startswith("test ")]
    photos = [Photo(folder / path, Path(path).parts[0]) for path in paths]
    found = [photo for photo in photos if photo.path.is_file()]
    if not found:
        raise FindingsError(
            f"none of the {len(paths)} held-out photos of {split} is in {folder}; it should have "
            f"{paths[0] if paths else 'lines such as test Faces/image_0003.jpg'}"
        )
    if len(found) < len(photos):
        print(f"note: {len(photos) - len(found)} of {len(photos)} photos are missing",
              file=sys.stderr)  # fmt: skip
    return found


def run(options: argparse.Namespace) -> None:
    """Show the findings asked for."""
    names = list(FINDINGS) if options.names == ["all"] else options.names
    unknown = [name for name in names if name not in FINDINGS]
    if unknown:
        raise FindingsError(f"there is no finding {unknown[0]!r}; there are {', '.join(FINDINGS)}")
    if not names:
        for name, row in FINDINGS.items():
            print(f"{name:12} {row.question}")
        return
    photos = held_out(options.photos, options.split)
    if options.threads:
        caffe.set_threads(options.threads)
    lab = Lab(open_optimizer(settings_defaults.read(options.settings).model), photos)
    for name in names:
        found = FINDINGS[name].find(lab)
        print(f"{name}: {FINDINGS[name].question}\n\n{found.table()}\n\n{found.said}")
        if found.picture is not None:
            place = options.out / f"{name}.png"
            _write(place, found.picture)
            print(f"-> {place}")
        print(flush=True)


def _write(place: Path, picture: Image) -> None:
    try:
        os.makedirs(place.parent, exist_ok=True)
    except OSError as error:
        raise FindingsError(f"{error.filename}: {error.strerror}") from error
    write_image(place, picture)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 2 after one sentence, 130 where the user stopped it."""
    words = sys.argv[1:] if arguments is None else arguments
    errors = (FindingsError, OptimizeError, ImageError, caffe.CaffeError)
    return exit_status(PROGRAM, lambda: run(parse(words)), errors, "stopped")


if __name__ == "__main__":
    sys.exit(main())
