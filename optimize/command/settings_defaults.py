"""The command lines' defaults, from the settings file: the only module here that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import settings as settings_file
from optimize.command.open_model import ModelSpec
from optimize.errors import OptimizeError
from toolbox.pictures.held import Held
from toolbox.settings.config import Settings, SettingsError


@dataclass(frozen=True)
class Defaults:
    """What the settings say.

    Parameters
    ----------
    model : ModelSpec
        The network.
    recipe : dict
        Values for FindParams.
    output_prefix : str
        Where results of single runs go.
    """

    model: ModelSpec
    recipe: dict[str, Any]
    output_prefix: str


def read(path: Path | None = None) -> Defaults:
    """Read `settings_local.py`, another file, or the defaults.

    Raises
    ------
    OptimizeError
        What is wrong in the file.
    """
    try:
        s = settings_file.load(path)
    except SettingsError as error:
        raise OptimizeError(str(error)) from error
    return defaults_of(s)


def defaults_of(s: Settings) -> Defaults:
    """Take from settings what the command lines begin with.

    Raises
    ------
    OptimizeError
        No weights are named, or the order of colours lacks one.
    """
    if s.caffevis_network_weights is None:
        raise OptimizeError(
            "caffevis_network_weights is not set: the file with the weights (.caffemodel or .h5)"
        )
    recipe = {
        "rand_seed": s.optimize_image_rand_seed,
        "decay": s.optimize_image_decay,
        "blur_radius": s.optimize_image_blur_radius,
        "blur_every": s.optimize_image_blue_every,
        "lr_policy": s.optimize_image_lr_policy,
        "lr_params": s.optimize_image_lr_params,
        "max_iter": s.optimize_image_max_iters,
    }
    return Defaults(_model(s), recipe, s.optimize_image_output_prefix)


def _model(s: Settings) -> ModelSpec:
    swap = s.caffe_net_channel_swap
    return ModelSpec(
        prototxt=s.caffevis_deploy_prototxt,
        weights=s.caffevis_network_weights,
        mean=s.caffevis_data_mean,
        # the settings say which colour each channel gets, the optimiser which channel is red
        channel_swap_to_rgb=_to_rgb(swap),
        labels=s.caffevis_labels,
        label_layers=s.caffevis_label_layers or (),
        raw_scale=s.caffe_net_raw_scale,
        input_scale=1.0 if s.caffe_net_input_scale is None else s.caffe_net_input_scale,
        deviation=_listed(s.caffe_net_input_std),
        channelwise_mean=s.generate_channelwise_mean,
        gpu=s.caffevis_gpu_id if s.caffevis_mode_gpu else None,
        python_layers=s.caffevis_allow_python_layers,
        held=Held.of(s.caffevis_image_input, s.caffevis_held_inputs),
    )


def _listed(deviation: tuple[float, ...] | float | None) -> tuple[float, ...] | None:
    return (deviation,) if isinstance(deviation, float) else deviation


def _to_rgb(swap: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if swap is None:
        return None
    if not {0, 1, 2} <= set(swap):
        raise OptimizeError(f"caffe_net_channel_swap is {swap}, but must hold 0, 1 and 2")
    return tuple(swap.index(colour) for colour in range(3))
