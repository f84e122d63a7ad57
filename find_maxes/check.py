"""The result of a scan checked the slow way: each image alone, each maximum by NumPy.

python -m find_maxes.check MAXES.npz NET_PROTOTXT NET_WEIGHTS DATADIR FILELIST [--exhaustive]
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from find_maxes.crops.crop import check_names, check_weights
from find_maxes.crops.patches import fits
from find_maxes.errors import FindMaxesError
from find_maxes.options import USER_ERRORS
from find_maxes.photos.photo_list import ImageList, read_images
from find_maxes.scan import maxes_file
from find_maxes.scan.maxes_file import Maxes
from find_maxes.scan.network import NetFiles, image_input, set_batch
from toolbox.command_line import exit_status
from toolbox.pictures.image_file import ImageError

RELATIVE = 1e-4  # of the value, or of a hundredth of the layer's highest where that is more:
# sums that cancel out keep the rounding of what was added, some 1e-7 of the highest
LEAST = 1e-2
_SHOWN = 20  # faults that are printed


@dataclass
class Report:
    """What was compared, and what is wrong.

    Attributes
    ----------
    images, values : int
        How many were recomputed and compared.
    worst : float
        The largest difference, relative as `RELATIVE` is meant.
    faults : list of str
        One sentence each.
    """

    images: int = 0
    values: int = 0
    worst: float = 0.0
    faults: list[str] = field(default_factory=list)


class Checker:
    """Recomputes images one at a time.

    Parameters
    ----------
    maxes : Maxes
        The scan's result.
    net_files : NetFiles
        The net.
    images : ImageList
        The scan's.
    """

    def __init__(self, maxes: Maxes, net_files: NetFiles, images: ImageList) -> None:
        self.maxes, self.images = maxes, images
        self.net = net_files.open()
        self.input = image_input(self.net)
        set_batch(self.net, 1)
        net_files.held.fill(self.net)
        self._check_net()
        self.report = Report()
        self._scale = {name: self._least(values) for name, values in maxes.values.items()}
        self._wanted: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
        for name, places in maxes.locations.items():
            for unit, rank in zip(*np.nonzero(places[..., 0] >= 0), strict=True):
                entry = (name, int(unit), int(rank))
                self._wanted[int(places[unit, rank, 0])].append(entry)

    def _check_net(self) -> None:
        """Refuse a net that the result cannot be of."""
        own = self.net.blobs[self.input].shape[1:]
        recipe = self.maxes.recipe
        if own != (recipe.channels, recipe.height, recipe.width):
            raise FindMaxesError(
                f"the net's input has the shape {own}, and that of MAXES "
                f"{(recipe.channels, recipe.height, recipe.width)}; name the net it was made with"
            )
        for name, values in self.maxes.values.items():
            if name not in self.net.blobs:
                raise FindMaxesError(
                    f"MAXES has a layer {name!r} that this net has not; name the net it was "
                    "made with"
                )
            shape = self.net.blobs[name].shape[1:] or (1,)
            if shape[0] != len(values) or not fits(self.maxes.locations[name], shape):
                raise FindMaxesError(
                    f"MAXES is of another net: its layer {name!r} has {len(values)} units, and "
                    f"this net's has the shape {shape}; name the net it was made with"
                )

    @staticmethod
    def _least(values: np.ndarray) -> float:
        known = np.abs(values[np.isfinite(values)])
        return LEAST * float(known.max()) if known.size else 1.0

    def run(self, exhaustive: bool) -> Report:
        """Check the entries' images, or every image of the list."""
        for name, values in self.maxes.values.items():
            self._check_order(name, values)
        numbers = range(len(self.images)) if exhaustive else sorted(self._wanted)
        for number in tqdm(numbers, unit=" images", mininterval=0.5, dynamic_ncols=True):
            try:
                picture = self.maxes.recipe.picture(self.images.path(number))
            except ImageError as error:
                if number in self._wanted:
                    self.report.faults.append(f"{self.images.names[number]}: {error}")
                continue
            self._look(number, self.maxes.recipe.to_input(picture), exhaustive)
        return self.report

    def _look(self, number: int, values: np.ndarray, exhaustive: bool) -> None:
        """Compare one image with all that the result says of it."""
        self.net.blobs[self.input].data[0] = values.transpose(2, 0, 1)
        self.net.forward()
        maps = {name: np.array(self.net.blobs[name].data[0]) for name in self.maxes.values}
        for name, unit, rank in self._wanted.get(number, ()):
            self._compare(number, name, unit, rank, maps[name][unit])
        if exhaustive:
            for name, found in maps.items():
                self._left_out(number, name, np.fmax.reduce(found.reshape(len(found), -1), axis=1))
        self.report.images += 1

    def _compare(self, number: int, name: str, unit: int, rank: int, found: np.ndarray) -> None:
        value = float(self.maxes.values[name][unit, rank])
        row, column = (int(v) for v in self.maxes.locations[name][unit, rank, 2:])
        # Without a map both are -1; one axis of positions is a row of columns.
        grid = found.reshape(-1, found.shape[-1]) if found.ndim else found.reshape(1, 1)
        there = float(grid[max(row, 0), max(column, 0)])
        most = float(np.fmax.reduce(grid, axis=None))
        off = max(abs(most - value), abs(there - value))
        off /= max(abs(value), self._scale[name])
        self.report.worst = max(self.report.worst, off)
        self.report.values += 1
        if not off <= RELATIVE:
            self.report.faults.append(
                f"{name} unit {unit}, {self.images.names[number]}: {value:.6g} in the result, "
                f"{most:.6g} alone, {there:.6g} at row {row}, column {column}"
            )

    def _left_out(self, number: int, name: str, found: np.ndarray) -> None:
        values, places = self.maxes.values[name], self.maxes.locations[name]
        last = values[:, -1]  # minus infinity where there are fewer images
        room = RELATIVE * np.maximum(
            np.where(np.isfinite(last), np.abs(last), 0), self._scale[name]
        )
        kept = (places[..., 0] == number).any(axis=1)
        missing = (found > last + room) & ~kept
        for unit in np.nonzero(missing)[0]:
            self.report.faults.append(
                f"{name} unit {unit}: {self.images.names[number]} was left out, with "
                f"{found[unit]:.6g} above the last value kept, {last[unit]:.6g}"
            )

    def _check_order(self, name: str, values: np.ndarray) -> None:
        """Values fall; equal ones stand in the order of the images; none comes twice."""
        numbers = self.maxes.locations[name][..., 0]
        known = (numbers[:, :-1] >= 0) & (numbers[:, 1:] >= 0)
        rising = known & (values[:, 1:] > values[:, :-1])
        ties = known & (values[:, 1:] == values[:, :-1]) & (numbers[:, 1:] <= numbers[:, :-1])
        for unit in np.nonzero((rising | ties).any(axis=1))[0]:
            self.report.faults.append(f"{name} unit {unit}: its images are not in order")
        for number, row in enumerate(numbers):
            own = row[row >= 0]
            if len(set(own.tolist())) < len(own):
                self.report.faults.append(f"{name} unit {number}: an image comes twice")


def run(options: argparse.Namespace) -> int:
    """Check what the command line names; return the exit status."""
    maxes = maxes_file.read_maxes(Path(options.maxes))
    images = read_images(options.datadir, options.filelist)
    check_names(maxes, images)
    net_files = NetFiles.named(
        options.net_prototxt, options.net_weights, python=options.allow_python_layers,
        held=maxes.held,
    )  # fmt: skip
    check_weights(options.maxes, maxes, net_files.weights)
    report = Checker(maxes, net_files, images).run(options.exhaustive)
    for fault in report.faults[:_SHOWN]:
        print(fault.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    if len(report.faults) > _SHOWN:
        print(f"and {len(report.faults) - _SHOWN} more", file=sys.stderr)
    print(
        f"{report.values} values of {len(maxes.values)} layers recomputed alone on {report.images} "
        f"images: largest difference {report.worst:.1e} (accepted: {RELATIVE:.0e}), "
        f"{len(report.faults)} faults"
    )
    return 1 if report.faults else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 where something is wrong, 2 after one sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m find_maxes.check",
        description="Check a result of find_max_acts the slow way: each image alone.",
    )
    for name in ("maxes", "net_prototxt", "net_weights", "datadir", "filelist"):
        parser.add_argument(name)
    parser.add_argument("--exhaustive", action="store_true",
                        help="recompute every image, to see that none was left out")  # fmt: skip
    parser.add_argument("--allow-python-layers", action="store_true",
                        help="let the network's Python layers run the code they name")  # fmt: skip
    options = parser.parse_args(arguments)
    return exit_status("check", lambda: run(options), USER_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
