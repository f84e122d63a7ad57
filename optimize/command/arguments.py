"""The command line: the original's options, and more; values are parsed, never evaluated."""

from __future__ import annotations

import argparse
import ast
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torchcaffe as caffe
from optimize.errors import OptimizeError
from optimize.parametrise.registry import PARAMETRISATIONS
from optimize.params import ALL_PRESETS, STARTS
from optimize.policies import POLICIES
from toolbox.command_line import numbers

PROGRAM = "python -m optimize"
TEMPLATE = "%(push_layer)s_%(push_channel)04d_%(rand_seed)d"
# Options that are settings of a run: their names with underscores are FindParams'.
RECIPE = (
    "start_at", "rand_seed", "push_spatial", "push_dir", "decay", "blur_radius", "blur_every",
    "small_val_percentile", "small_norm_percentile", "px_benefit_percentile",
    "px_abs_benefit_percentile", "lr_policy", "lr_params", "max_iter", "tv", "jitter", "rotate",
    "scale", "crop", "noise", "pull", "parametrisation", "adam_rate", "rival", "objective",
    "full_image",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the command line."""

    def error(self, message: str) -> NoReturn:
        """Raise the sentence as an error."""
        raise OptimizeError(f"{message} (see {self.prog} --help)")


def _literal(text: str) -> Any:
    """Read a number, tuple or dict written as in Python."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def whole_numbers(count: int, example: str) -> Callable[[str], tuple[int, ...] | None]:
    """Return a reader of `2,1,0` or `(2,1,0)`; `none` is None."""

    def read(text: str) -> tuple[int, ...] | None:
        if text.strip().lower() == "none":
            return None
        value = _literal(text)
        fits = isinstance(value, tuple | list) and len(value) == count
        if not fits or not all(type(v) is int and v >= 0 for v in value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {count} whole numbers as {example}")
        return tuple(value)

    return read


def rates(text: str) -> dict[str, float]:
    """Read `step=4,late_step=2`, or a dict as in Python or JSON."""
    value = _literal(text)
    if value is None and re.fullmatch(r"[^{}]+", text):
        pieces = [piece.partition("=") for piece in text.split(",")]
        value = {name.strip(): _literal(number) for name, _, number in pieces}
    numeric = isinstance(value, dict) and all(
        isinstance(k, str) and isinstance(v, int | float) for k, v in value.items()
    )
    if not numeric:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no list of names and numbers such as step=4,late_step=2"
        )
    return dict(value)


def mean(text: str) -> Any:
    """Read a file's name, one number, one a channel (`104,117,123`), or `none`."""
    if text.strip().lower() == "none":
        return None
    value = _literal(text)
    listed = value if isinstance(value, tuple | list) else [value]
    if all(isinstance(v, int | float) and math.isfinite(v) for v in listed) and listed:
        return tuple(float(v) for v in listed)
    return text


def count(text: str) -> int:
    """Read a whole number from 1."""
    if not re.fullmatch(r"\s*\d{1,9}\s*", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; option names may have dashes or underscores.

    Raises
    ------
    OptimizeError
        What is wrong with it.
    """
    parser = new_parser(
        PROGRAM, "Make images that units of a network prefer, by regularised gradient ascent."
    )
    add_model(parser)
    _add_units(parser)
    _add_recipe(parser)
    _add_output(parser)
    return checked_words(parser, arguments)


def new_parser(program: str, description: str) -> Parser:
    """Return a parser of options that are not abbreviated."""
    return Parser(prog=program, description=description, allow_abbrev=False)


def checked_words(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command line with `add_model`'s options; names may have underscores."""
    dashed = []
    for word in arguments:
        name, equals, value = word.partition("=")
        dashed.append((name.replace("_", "-") if name[:2] == "--" else name) + equals + value)
    options = parser.parse_args(dashed)
    has_own = options.deploy_proto and caffe.opening.is_imported(options.deploy_proto)
    if options.deploy_proto and not options.net_weights and not has_own:
        parser.error("--deploy-proto needs --net-weights, the same network's weights")
    return options


def add_model(parser: Parser) -> None:
    """Add the options that name a network; `open_model.model_from` reads them."""
    group = parser.add_argument_group("the network (default: that of the settings)")
    add = group.add_argument
    add("--settings", type=Path, metavar="FILE", help="instead of settings_local.py")
    add(
        "--deploy-proto",
        metavar="FILE",
        help="the network's definition: a prototxt, .pt2 or .onnx file, or mynets:resnet",
    )
    add("--net-weights", metavar="FILE", help="its weights")
    add("--mean", type=mean, default=..., metavar="FILE|NUMBERS",
        help="its mean: a file, 104,117,123 or none")  # fmt: skip
    add("--channel-swap-to-rgb", type=whole_numbers(3, "2,1,0"), default=..., metavar="2,1,0",
        help="which input channel is red, green and blue")  # fmt: skip
    add("--data-size", type=whole_numbers(2, "227,227"), metavar="H,W", help="size of the input")
    add("--image-input", metavar="NAME",
        help="the input that is optimised (default: the first with four axes)")  # fmt: skip
    add("--hold", action="append", metavar="NAME=VALUE",
        help="what another input holds: a number, one a channel as im_info=600,800,1, or a "
             "file; else 0")  # fmt: skip
    add("--photo-statistics", metavar="FILE",
        help="for presets 5 and 6, as python -m optimize.photos writes it")  # fmt: skip
    add("--gpu", type=int, metavar="N", help="compute on this GPU")
    add("--allow-python-layers", action="store_true",
        help="let the network's Python layers run the code they name")  # fmt: skip


def _add_units(parser: Parser) -> None:
    add = parser.add_argument_group("what is pushed").add_argument
    add("--push-layer", metavar="LAYER", help="layer (default: the last one with labels)")
    add("--push-channel", type=int, metavar="N", help="unit (default 0)")
    add("--push-channels", type=numbers, metavar="0-95,130", help="several units")
    add("--layers", nargs="+", metavar="LAYER", help="all units of each of these layers")
    add("--push-spatial", type=whole_numbers(2, "6,6"), metavar="R,C",
        help="row and column in a convolution layer (default: its centre)")  # fmt: skip
    add("--push-dir", type=float, metavar="D", help="1: maximise (default); -1: minimise")
    add("--objective", metavar="TEXT",
        help="not a unit but: 'fc8:3 - 0.5 * fc8:7', 'mean(conv4:12)', 'dream(conv3)', "
             "'fc8:3 + 9 * diversity(conv4)'")  # fmt: skip


def _add_recipe(parser: Parser) -> None:
    add = parser.add_argument_group("how (defaults: from the settings)").add_argument
    add("--preset", type=int, choices=list(ALL_PRESETS),
        help="1 to 4: a row of the paper's table 1; 5: a Fourier series; 6: MACO")  # fmt: skip
    add("--start-at", choices=STARTS, help="image to start from")
    add("--rand-seed", type=int, metavar="N", help="seed of the start")
    add("--seeds", type=count, metavar="N", help="images a unit, from --rand-seed on")
    add("--start-images", nargs="+", metavar="FILE", help="a unit's top images, for --facets")
    add("--facets", type=count, metavar="N",
        help="start from the means of so many groups of the --start-images")  # fmt: skip
    add("--decay", type=float, metavar="D", help="share of the image lost an iteration")
    add("--blur-radius", type=float, metavar="S", help="sigma of the blur in pixels, 0: none")
    add("--blur-every", type=int, metavar="N", help="blur every N iterations, 0: never")
    for name in ("small-val", "small-norm", "px-benefit", "px-abs-benefit"):
        add(f"--{name}-percentile", type=float, metavar="P",
            help="set to zero what is below this percentile, 0: nothing")  # fmt: skip
    add("--tv", type=float, metavar="W", help="step against the total variation, grey levels")
    add("--jitter", type=int, metavar="PX", help="show the image shifted by up to PX pixels")
    add("--rotate", type=float, metavar="DEG", help="turned by up to DEG degrees")
    add("--scale", type=float, metavar="S", help="scaled by 1 - S to 1 + S")
    add("--crop", type=float, metavar="S", help="a part of it, up to S smaller, enlarged")
    add("--noise", type=float, metavar="S", help="with normal noise of S grey levels")
    add(
        "--pull",
        type=float,
        metavar="P",
        help="hold it near the --start-images: as strongly as it is drawn away at 1/P grey levels",
    )
    about = "; ".join(f"{name}: {kind.about}" for name, kind in PARAMETRISATIONS.items())
    add("--parametrisation", choices=list(PARAMETRISATIONS), help=f"hold the image as {about}")
    add("--adam-rate", type=float, metavar="R", help="rate of the steps that are Adam's")
    add("--rival", type=float, metavar="S",
        help="take off this share of the gradient of a unit that is nearly as strong")  # fmt: skip
    about = "; ".join(f"{name}: {row.about}" for name, row in POLICIES.items())
    add("--lr-policy", choices=list(POLICIES), help=about)
    add("--lr-params", type=rates, metavar="NAME=NUMBER,...", help="the policy's numbers")
    add("--max-iter", type=int, metavar="N", help="iterations")
    add("--full-image", action="store_true", default=None,
        help="show the net the whole image where a unit sees only part of it")  # fmt: skip
    add("--batch-size", type=count, metavar="N", help="images side by side")
    add("--threads", type=count, metavar="N", help="processor threads")
    add("--scheduler", metavar="ADDRESS", help="compute on the Dask cluster at this address")


def _add_output(parser: Parser) -> None:
    add = parser.add_argument_group("results").add_argument
    add("--output-prefix", metavar="PREFIX", help="folder and beginning of the files' names")
    add("--output-template", metavar="T", default=TEMPLATE,
        help=f"rest of their names (default {TEMPLATE.replace('%', '%%')})")  # fmt: skip
    add("--unit-jpg-dir", type=Path, metavar="DIR",
        help="write the live app's images of units there instead")  # fmt: skip
    add("--brave", action="store_true", help="overwrite existing results")
    add("--resume", action="store_true", help="go on where a run of the same settings ended")
    add("--skipbig", action="store_true", help="no .npz with the arrays")
    add("--quiet", action="store_true", help="no progress bar")
