"""`python -m find_maxes.label_masks`: the concept that each unit covers best, from masks."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

EPILOG = """\
MAXES.npz      what find_max_acts wrote: how photos become inputs, and which layers there are
DATADIR        the photos' folder
MASKS          <concept>/<path of the photo>.png, as large as the photo, white where the concept is
OUT.csv        gets layer, unit, concept and IoU; the concept is empty below 0.04
LAYER...       which layers (none: all in MAXES.npz that have maps)

Exit status: 0, 1 where photos could not be read, 2 after an error in one sentence."""
PATHS = ("MAXES.npz", "NET_PROTOTXT", "NET_WEIGHTS", "DATADIR", "MASKS", "OUT.csv")


def make_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="python -m find_maxes.label_masks",
        usage=f"%(prog)s [options] {' '.join(PATHS)} LAYER...",
        description="Find the concept that each unit covers best (Network Dissection).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in PATHS:
        parser.add_argument(name.rpartition(".")[0].lower() or name.lower(), help=argparse.SUPPRESS)
    parser.add_argument("layers", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--gpu", action="store_true", help="compute on the GPU")
    parser.add_argument("--allow-python-layers", action="store_true",
                        help="let the net's Python layers run the code they name")  # fmt: skip
    return parser


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks for; return the exit status."""
    from tqdm import tqdm

    from find_maxes.crops.crop import check_weights
    from find_maxes.errors import FindMaxesError
    from find_maxes.masks.dissection import LEAST, Dissector
    from find_maxes.masks.mask_folder import find_masks
    from find_maxes.scan import maxes_file
    from find_maxes.scan.network import NetFiles, Runner
    from toolbox.workers.heartbeat import SECONDS, Heartbeat

    maxes, out = maxes_file.read_maxes(Path(options.maxes)), Path(options.out)
    masks = find_masks(Path(options.masks), Path(options.datadir))
    maxes_file.check_writable(out)
    net = NetFiles.named(
        options.net_prototxt, options.net_weights, options.gpu, options.allow_python_layers,
        maxes.held,
    )  # fmt: skip
    check_weights(options.maxes, maxes, net.weights)
    runner = Runner(net, options.layers or list(maxes.values))
    dissector = Dissector(runner, maxes.recipe, Path(options.datadir), masks)
    if not dissector.layers:
        raise FindMaxesError("none of these layers has a map that a mask could be laid on")
    interval = 0.5 if sys.stderr.isatty() else SECONDS
    with (
        tqdm(total=2 * len(masks.photos), unit=" photos", mininterval=interval) as bar,
        Heartbeat(bar.refresh),
    ):
        thresholds = dissector.thresholds(lambda: bar.update() and None)
        found, sizes = dissector.overlaps(thresholds, lambda: bar.update() and None)
    rows, named = [], 0
    for layer, overlap in found.items():
        for unit, row in enumerate(overlap.iou(sizes)):
            best = int(row.argmax())
            is_label = row[best] > LEAST
            named += bool(is_label)
            rows.append([layer, unit, masks.concepts[best] if is_label else "", f"{row[best]:.4f}"])
    _write(out, rows)
    for name, why in sorted(dissector.bad.items()):
        print(f"bad file {name}: {why}".encode("utf-8", "backslashreplace").decode(),
              file=sys.stderr)  # fmt: skip
    print(
        f"{len(masks.photos) - len(dissector.bad)} photos, {len(masks.concepts)} concepts: {named} "
        f"of {len(rows)} units cover one (IoU above {LEAST}) -> {out}"
    )
    return 1 if dissector.bad else 0


def _write(out: Path, rows: Sequence[Sequence[object]]) -> None:
    from find_maxes.errors import FindMaxesError, reason_of
    from toolbox.pictures.whole_file import write_whole

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "unit", "concept", "IoU"])
    writer.writerows(rows)
    try:
        write_whole(out, text.getvalue())
    except OSError as error:
        raise FindMaxesError(f"{out} cannot be written: {reason_of(error)}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    from toolbox.command_line import exit_status

    options = make_parser().parse_intermixed_args(arguments)
    import torchcaffe  # noqa: F401 - before torch, see torchcaffe.process.openmp
    from find_maxes.options import USER_ERRORS

    return exit_status("label_masks", lambda: run(options), USER_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
