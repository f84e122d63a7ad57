"""Write pictures and values of units for a folder of photos, as the window shows them.

For each photo and unit: a PNG to look at and a NPY with the values, and one table of all of
them, written.csv. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

import settings as settings_file
from caffevis.export.errors import ExportError
from caffevis.export.kinds import CAM, KINDS
from caffevis.export.work import Job, cam_layer, export, parse_units, photos_in
from caffevis.export.written import NAME
from caffevis.from_settings import namer
from caffevis.model.layer_list import LayerError, list_layers
from caffevis.model.opening import ENGINE_ERRORS, make_preprocess, open_net
from caffevis.model.preprocess import InputError
from caffevis.model.threads import compute_threads
from caffevis.net.network import Network
from toolbox.command_line import exit_status
from toolbox.pictures.held import HeldError
from toolbox.pictures.stamp import StampError, foreign, stamp_of, write_stamp
from toolbox.settings.config import Settings, SettingsError
from toolbox.workers.heartbeat import SECONDS, Heartbeat

PROGRAM = "caffevis.export"
USER_ERRORS = (
    ExportError, SettingsError, LayerError, InputError, HeldError, StampError, *ENGINE_ERRORS,
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the command line."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with 2."""
        self.exit(2, f"{PROGRAM}: {message} (see python -m {PROGRAM} --help)\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    words = "; ".join(f"{name}: {kind.about}" for name, kind in KINDS.items())
    parser = Parser(prog=f"python -m {PROGRAM}", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--photos", metavar="DIR", type=Path, required=True, help="the folder of photos")
    add("--units", metavar="UNITS", required=True, help="which: conv5:60,fc8:5")
    add("--what", nargs="+", choices=list(KINDS), metavar="WHAT", required=True, help=words)
    add("--out", metavar="DIR", type=Path, default=Path("export"), help="where to (export)")
    add("--cam-layer", metavar="LAYER",
        help="the layer of Grad-CAM; without it the last one with maps below the unit")  # fmt: skip
    add("--settings", metavar="FILE", type=Path, help="instead of settings_local.py")
    return parser.parse_args(arguments)


def _check_out(out: Path, settings: Settings) -> None:
    """Refuse a folder that has another network's exports; mark one that is new."""
    weights = settings.caffevis_network_weights
    if weights is None:
        return
    own = stamp_of(settings.caffevis_deploy_prototxt, weights)
    if sentence := foreign(out, out, own):
        raise ExportError(f"{sentence}; --out names another folder")
    write_stamp(out, own)


def run(options: argparse.Namespace) -> int:
    """Export what the command line asks for; return the exit status."""
    settings = settings_file.load(options.settings)
    names = photos_in(options.photos)
    net = open_net(settings)
    layers = list_layers(net, 1.0, namer(settings), settings.caffevis_filter_layers)
    units = parse_units(options.units, net, layers)
    below = tuple(cam_layer(unit, layers, options.cam_layer, net) for unit in units)
    what = tuple(dict.fromkeys(options.what))
    prepare = make_preprocess(net, settings)
    threads = compute_threads(settings.caffevis_compute_threads).alone
    network = Network(net, prepare, None, threads)
    if lacks := [word for word in what if word not in (*network.back_modes, "activation", CAM)]:
        raise ExportError(f"this network's Caffe offers no {', '.join(lacks)}; leave it out")
    job = Job(options.photos, options.out, units, what, below, settings.static_file_stretch_mode)
    _check_out(job.out, settings)
    interval = 0.5 if sys.stderr.isatty() else SECONDS
    with (
        tqdm(total=len(names), unit=" photos", mininterval=interval, dynamic_ncols=True) as bar,
        Heartbeat(bar.refresh),
    ):
        outcome = export(job, network, prepare.aspect, lambda name: bar.update() and None)
    bad = outcome.bad or {}
    for name, why in sorted(bad.items()):
        print(f"bad file {name}: {why}".encode("utf-8", "backslashreplace").decode(),
              file=sys.stderr)  # fmt: skip
    before = f", {outcome.before} were there" if outcome.before else ""
    print(
        f"{len(names) - len(bad)} photos, {len(units)} units, {len(what)} kinds: {outcome.made} "
        f"exports made{before}, {len(bad)} bad file(s); {job.out / NAME} lists them"
    )
    return 1 if bad else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name.

    Returns
    -------
    int
        0; 1 where photos could not be read; 2 after one sentence on standard error; 130 where
        the user stopped it.
    """
    words = sys.argv[1:] if arguments is None else arguments
    stopped = "stopped; the same command goes on"
    return exit_status(PROGRAM, lambda: run(parse(words)), USER_ERRORS, stopped)


if __name__ == "__main__":
    sys.exit(main())
