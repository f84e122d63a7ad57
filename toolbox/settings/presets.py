"""How pictures are prepared for a network, by the names that the usual ways have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from toolbox.settings.config import ROOT_MARK, Settings, SettingsError

RGB, BGR = (0, 1, 2), (2, 1, 0)
# Per preset: order of colours, mean and deviation as grey levels of 0 to 255.
PRESETS: dict[str, tuple[tuple[int, ...], Any, Any]] = {
    "imagenet": (RGB, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "half": (RGB, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "unit": (RGB, None, (255.0, 255.0, 255.0)),
    "efficientnet-lite": (RGB, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    "raw": (RGB, None, None),
    "caffe": (BGR, (104.0, 117.0, 123.0), None),
}
WEIGHTS_ONLY = (".pth", ".pt", ".safetensors", ".bin", ".ckpt")
SELF_CONTAINED = (".pt2", ".onnx")  # a network's definition with its weights
OWN_SETTINGS = Path("my_settings.py")  # as docs/pytorch.md calls it
_PYTHON = re.compile(r"([A-Za-z_][\w.]*|.+\.py):[A-Za-z_][\w.]*(@\d+(,\d+)*)?\Z")


def holds_weights(definition: str) -> bool:
    """Return whether a definition's file holds the weights too."""
    return Path(definition).suffix in SELF_CONTAINED


def is_python(definition: str) -> bool:
    """Return whether a definition names Python code: "mynets:resnet"."""
    return _PYTHON.match(definition) is not None


def _found(model: str, folder: Path | None) -> str:
    """Name the file of a model's code where it lies beside the settings file."""
    where, what = model.rsplit(":", 1)
    name = where if where.endswith(".py") else f"{where}.py"
    beside = folder is not None and (folder / name).is_file()
    return f"{folder / name}:{what}" if folder is not None and beside else model


def prepared(settings: Settings, root: Path) -> Settings:
    """Fill in what the kind of network and `caffevis_input_preset` say, where nothing is set.

    Parameters
    ----------
    settings : Settings
        As read; what its file sets stays.
    root : Path
        The checkout, for `%DVT_ROOT%`.

    Returns
    -------
    Settings
        With the definition in `caffevis_deploy_prototxt` also for a PyTorch model.

    Raises
    ------
    SettingsError
        Both a definition and a PyTorch model are named, or weights that are not needed.
    """
    given = settings.written
    model = settings.caffevis_torch_model
    changes: dict[str, Any] = {}
    if model is not None:
        if settings.caffevis_deploy_prototxt is not None:
            raise SettingsError(
                "caffevis_torch_model and caffevis_deploy_prototxt both name a network; keep one."
            )
        if not is_python(model):
            raise SettingsError(
                f"caffevis_torch_model is {model!r}; a module and the function in it that makes "
                'the network is accepted, as "mynets:resnet" or "nets/mynets.py:resnet".'
            )
        model = _found(
            model.replace(ROOT_MARK, str(root)), settings.source.parent if settings.source else root
        )
        changes["caffevis_deploy_prototxt"] = model
        changes["caffevis_network_weights"] = settings.caffevis_network_weights or "-"
    definition = model or settings.caffevis_deploy_prototxt
    if model is None and holds_weights(definition):
        if settings.caffevis_network_weights is not None:
            raise SettingsError(
                f"caffevis_network_weights is set, but {definition} has its weights in it; leave "
                "caffevis_network_weights out."
            )
        changes["caffevis_network_weights"] = definition
    if model is not None or holds_weights(definition):
        changes["caffe_net_channel_swap"] = RGB
    if settings.caffevis_input_preset is not None:
        swap, mean, deviation = PRESETS[settings.caffevis_input_preset]
        changes["caffe_net_channel_swap"] = swap
        changes["caffevis_data_mean"] = mean
        changes["caffe_net_input_std"] = deviation
    kept = ("caffe_net_channel_swap", "caffevis_data_mean", "caffe_net_input_std")
    return settings.replaced(
        **{k: v for k, v in changes.items() if k not in kept or k not in given}
    )


def with_preset(settings: Settings, preset: str) -> Settings:
    """Return settings that prepare pictures in another way."""
    swap, mean, deviation = PRESETS[preset]
    return settings.replaced(
        caffe_net_channel_swap=swap,
        caffevis_data_mean=mean,
        caffe_net_input_std=deviation,
        caffe_net_input_scale=None,
        caffe_net_raw_scale=255.0,
    )


def with_model(
    settings: Settings, definition: str, weights: str | None, preset: str | None
) -> Settings:
    """Return settings with another network than the file's, for `live_vis.py --model`.

    Parameters
    ----------
    settings : Settings
        Whose window and inputs stay; what is about a network is replaced.
    definition : str
        A prototxt, .pt2 or .onnx file, or "mynets:resnet".
    weights : str or None
        The file with the weights, where the definition does not hold them.
    preset : str or None
        How pictures are prepared (default: "imagenet", or "caffe" for a prototxt).

    Raises
    ------
    SettingsError
        A prototxt without weights, or weights that are not needed.
    """
    imported = holds_weights(definition) or is_python(definition)
    if holds_weights(definition) and weights is not None:
        raise SettingsError(f"{definition} has its weights in it; leave --weights out.")
    if not imported and Path(definition).suffix in WEIGHTS_ONLY:
        raise SettingsError(
            f"{definition} holds weights without the network they belong to; give the Python code "
            f"that makes it: --model mynets:resnet --weights {definition}, or a .pt2 or .onnx file."
        )
    if weights is None and not imported:
        raise SettingsError(f"{definition} needs its weights: --weights FILE.")
    prepared_so = with_preset(settings, preset or ("imagenet" if imported else "caffe"))
    own = definition if holds_weights(definition) else weights or "-"
    nothing = dict.fromkeys(_OF_A_NETWORK)
    changed = prepared_so.replaced(
        **nothing, caffevis_deploy_prototxt=definition, caffevis_network_weights=own
    )
    return changed.as_of(OWN_SETTINGS.absolute(), _note(definition, weights, preset))


def _note(definition: str, weights: str | None, preset: str | None) -> str:
    """Say what to write into a settings file for the tools that make images of units."""
    name = "caffevis_torch_model" if is_python(definition) else "caffevis_deploy_prototxt"
    lines = [f'{name} = "{definition}"']
    lines += [f'caffevis_network_weights = "{weights}"'] if weights else []
    lines += [f'caffevis_input_preset = "{preset}"'] if preset else []
    return (
        f"to make images of units, write {' and '.join(lines)} into {OWN_SETTINGS}; "
        "docs/pytorch.md has what else belongs there"
    )


# Settings about the network that the file names; with another one none of them holds.
_OF_A_NETWORK = (
    "caffevis_labels", "caffevis_label_layers", "caffevis_prob_layer",
    "caffevis_layer_pretty_name_fn", "caffevis_layer_pretty_name_dict",
    "caffevis_layer_pretty_names", "caffevis_filter_layers", "caffevis_unit_jpg_dir",
    "caffevis_jpgvis_layers", "caffevis_jpgvis_remap", "caffevis_torch_model", "caffevis_start",
)  # fmt: skip
