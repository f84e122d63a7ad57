"""What both commands read from the command line, with defaults from the settings."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

import settings as settings_file
import torchcaffe as caffe
from find_maxes.errors import FindMaxesError
from find_maxes.photos.net_input import FloatArray, Recipe, fit_mean
from toolbox.pictures.crop import STRETCH
from toolbox.pictures.held import Held, HeldError, pad_mean
from toolbox.pictures.stamp import StampError
from toolbox.settings.config import Settings, SettingsError

USER_ERRORS = (FindMaxesError, SettingsError, HeldError, StampError, caffe.CaffeError)
_NUMBERS = re.compile(r"[\[(]?\s*([-+0-9.eE]+(?:\s*,\s*[-+0-9.eE]+)*)\s*,?\s*[\])]?\Z")


def read_settings(path: Path | None) -> Settings:
    """Read the user's settings, or those in `path`."""
    return settings_file.load(path)


def parse_mean(text: str) -> FloatArray | None:
    """Read `--mean`: numbers such as (104,117,123), a file, or None.

    Raises
    ------
    FindMaxesError
        It is none of these.
    """
    text = text.strip()
    if text.lower() == "none":
        return None
    numbers = _NUMBERS.match(text)
    if numbers and not Path(text).exists():
        try:
            return np.array([float(part) for part in numbers[1].split(",")], np.float32)
        except ValueError as error:
            raise FindMaxesError(f"--mean {text}: {error}") from error
    if not Path(text).is_file():
        raise FindMaxesError(
            f"--mean {text} is neither a file nor numbers; a .npy or .binaryproto file, one "
            "value a channel as (104,117,123), or None is accepted"
        )
    return np.asarray(caffe.io.load_mean(text))


def parse_swap(text: str) -> tuple[int, ...]:
    """Read `--channel-swap`: 0, 1 and 2 in some order."""
    parts = [part.strip() for part in text.strip(" ()[]").split(",")]
    if sorted(parts) != ["0", "1", "2"]:
        raise FindMaxesError(
            f"--channel-swap {text} must hold 0 (red), 1 (green) and 2 (blue) in some order, "
            "as 2,1,0"
        )
    return tuple(int(part) for part in parts)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Read `--crop`: 256, 256x320, or none (0, 0), which is the input's own size.

    Raises
    ------
    FindMaxesError
        It is none of these.
    """
    if text is None:
        return None
    if text.strip().lower() == "none":
        return 0, 0
    found = re.fullmatch(r"\s*(\d{1,5})(?:\s*[x,]\s*(\d{1,5}))?\s*", text)
    if found is None or int(found[1]) == 0:
        raise FindMaxesError(
            f"--crop {text} is no size; 256, 256x320 (height x width), or none is accepted"
        )
    return int(found[1]), int(found[2] or found[1])


def _mean_of(settings: Settings) -> FloatArray | None:
    mean = settings.caffevis_data_mean
    if mean is None:
        return None
    return np.asarray(caffe.io.load_mean(mean) if isinstance(mean, str) else mean, np.float32)


def held_from(options: argparse.Namespace, settings: Settings) -> Held:
    """Return what inputs hold: the settings', and the options `image_input` and `hold`."""
    held = Held.of(settings.caffevis_image_input, settings.caffevis_held_inputs)
    return held.changed(options.image_input, options.hold)


def _says_order(settings: Settings) -> bool:
    """Return whether the user's file says in which order the colours come."""
    return bool({"caffe_net_channel_swap", "caffevis_input_preset"} & settings.written)


def make_recipe(
    options: argparse.Namespace,
    settings: Settings,
    input_shape: tuple[int, int, int],
    others: FloatArray | None = None,
) -> Recipe:
    """Build how pictures become inputs from the options `mean`, `channel_swap`, `resize`, `crop`.

    Parameters
    ----------
    options : Namespace
        None where an option is not given: then the settings count.
    settings : toolbox.settings.config.Settings
        The user's.
    input_shape : (int, int, int)
        Of the net's input: channels, height, width.
    others : ndarray, optional
        As `Recipe.others`.
    """
    mean = _mean_of(settings) if options.mean is None else parse_mean(options.mean)
    if mean is not None:
        mean = fit_mean(pad_mean(mean, input_shape[0]), *input_shape)
        if settings.generate_channelwise_mean:
            mean = mean.mean((0, 1), keepdims=True)
    swap = settings.caffe_net_channel_swap or (2, 1, 0)
    if caffe.opening.is_imported(options.net_prototxt) and not _says_order(settings):
        swap = (0, 1, 2)
    if options.channel_swap is not None:
        swap = parse_swap(options.channel_swap)
    elif input_shape[0] >= 3:
        swap = parse_swap(",".join(map(str, swap)))
    return Recipe(
        *input_shape,
        resize=options.resize or (STRETCH if settings.static_file_stretch_mode else None),
        size=parse_size(options.crop),
        others=others,
        swap=tuple(swap),
        mean=mean,
        raw_scale=settings.caffe_net_raw_scale,
        input_scale=settings.caffe_net_input_scale or 1.0,
        deviation=_deviation(settings.caffe_net_input_std, input_shape[0]),
    )


def _deviation(given: tuple[float, ...] | float | None, channels: int) -> tuple[float, ...] | None:
    """Return one number a channel for `caffe_net_input_std`."""
    if given is None:
        return None
    values = tuple(given) if isinstance(given, tuple) else (given,)
    if len(values) not in (1, channels):
        raise FindMaxesError(
            f"caffe_net_input_std has {len(values)} numbers, and the net's input {channels} "
            "channels; one number a channel, or one for all, is accepted"
        )
    return values * channels if len(values) == 1 else values
