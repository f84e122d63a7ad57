"""`torchcaffe` on the command line: classify a photo, or describe a net."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from torchcaffe import io
from torchcaffe.classifier import Classifier
from torchcaffe.describe import describe
from torchcaffe.engine.net import Net
from torchcaffe.errors import ArgumentError, CaffeError, FileError
from torchcaffe.layers.python_layer import python_layers_allowed
from torchcaffe.proto.caffe_pb2 import TEST

MODEL = """\
A model's folder holds one *.prototxt and one *.caffemodel (or .h5), and, where there are any,
labels.txt (a name a line) and mean.npy or mean.binaryproto. Each can be named by itself."""


def _only(folder: Path, *patterns: str) -> Path | None:
    """Return the file of these patterns in a folder; None without one."""
    found = sorted(path for pattern in patterns for path in folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ArgumentError(f"{folder} holds several {' or '.join(patterns)} ({names}); name one")
    return found[0] if found else None


def _needed(given: Path | None, folder: Path, option: str, *patterns: str) -> Path:
    path = given or _only(folder, *patterns)
    if path is None:
        raise FileError(
            f"{folder} holds no {' or '.join(patterns)}; name the model's folder with --model, "
            f"or the file with {option}"
        )
    return path


def _labels(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FileError(f"could not open labels {path}: {error.strerror}") from error


def _mean(text: str | None, folder: Path) -> np.ndarray | None:
    """Read numbers ("104,117,123", "none") or a file; by default the folder's, or Caffe's."""
    if text is None:
        found = _only(folder, "mean.npy", "mean.binaryproto")
        text = str(found) if found else "104,117,123"
    if text.lower() == "none":
        return None
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError:
        return io.load_mean(text)


def classify(options: argparse.Namespace) -> None:
    """Print the classes that a net sees in a photo."""
    folder = options.model
    labels = _labels(options.labels or _only(folder, "labels.txt"))
    net = Classifier(
        _needed(options.net, folder, "--net", "*.prototxt"),
        _needed(options.weights, folder, "--weights", "*.caffemodel", "*.h5"),
        raw_scale=options.raw_scale,
    )
    channels = net.blobs[net.inputs[0]].channels
    if channels == 3:
        net.transformer.set_channel_swap(net.inputs[0], (2, 1, 0))
    mean = _mean(options.mean, folder)
    if mean is not None:
        mean = mean[:1] if mean.ndim == 1 and channels == 1 else mean
        net.transformer.set_mean(net.inputs[0], mean)
    photo = io.load_image(options.photo, color=channels == 3)
    scores = net.predict([photo], oversample=False).reshape(-1)
    for unit in np.argsort(-scores, kind="stable")[: options.top]:
        print(f"{scores[unit]:8.4f}  {labels[unit] if unit < len(labels) else unit}")


def info(options: argparse.Namespace) -> None:
    """Print a net as a table."""
    print(describe(Net(options.net, TEST)))


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("torchcaffe", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "classify", help="print the classes that a net sees in a photo", epilog=MODEL
    )
    one.set_defaults(run=classify)
    one.add_argument("photo", type=Path, metavar="PHOTO")
    one.add_argument(
        "--model", type=Path, default=Path(), metavar="FOLDER", help="default: this folder"
    )
    one.add_argument("--net", type=Path, metavar="FILE", help="the definition (.prototxt)")
    one.add_argument("--weights", type=Path, metavar="FILE", help=".caffemodel or .h5")
    one.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    one.add_argument(
        "--mean", metavar="M", help="a file, one value a channel, or none (104,117,123)"
    )
    one.add_argument(
        "--raw-scale", type=float, default=255.0, metavar="S", help="white is this number (255)"
    )
    one.add_argument("--top", type=_count, default=5, metavar="N", help="how many classes (5)")
    two = commands.add_parser("info", help="print a net's layers, shapes, parameters and memory")
    two.set_defaults(run=info)
    two.add_argument("net", type=Path, metavar="NET", help="the definition (.prototxt)")
    for command in (one, two):
        command.add_argument(
            "--allow-python-layers", action="store_true", help="run the code that the net names"
        )
    return parser


def _show(message: Warning | str, *_: object, **__: object) -> None:
    print(f"note: {message}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings(), python_layers_allowed(options.allow_python_layers):
            warnings.showwarning = _show
            options.run(options)
    except CaffeError as error:
        print(f"torchcaffe: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # as of `torchcaffe info NET | head`
        sys.stderr.close()
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
