"""The settings of one run, under the names that the original's FindParams has."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimize.errors import ParamsError
from optimize.policies import check_lr_params

STARTS = ("mean_plus_rand", "randu", "mean")
MAX_SEED = 2**32 - 1  # NumPy's legacy generator takes 32 bits

# Table 1 of the paper. The four regularisers that a preset leaves out are off.
PRESETS: dict[int, dict[str, float]] = {
    1: {"blur_radius": 0.5, "blur_every": 4, "small_norm_percentile": 50},
    2: {"decay": 0.3, "small_norm_percentile": 20},
    3: {"decay": 0.0001, "blur_radius": 1.0, "blur_every": 4},
    4: {"blur_radius": 0.5, "blur_every": 4, "px_abs_benefit_percentile": 90},
}
PRESET_FIELDS = (
    "decay", "blur_radius", "blur_every", "small_val_percentile", "small_norm_percentile",
    "px_benefit_percentile", "px_abs_benefit_percentile",
)  # fmt: skip
PERCENTILES = PRESET_FIELDS[3:]

# What is off or without meaning where an image is not held as pixels.
WITHOUT_PIXELS: dict[str, Any] = {
    **dict.fromkeys(PRESET_FIELDS, 0), "lr_policy": "constant", "lr_params": None,
}  # fmt: skip
# Beside the paper's: images that people can read on networks that nothing was tuned for. 5: a
# Fourier series with decorrelated colour (Olah et al. 2017); 6: its phases alone (MACO, Fel et
# al. 2023).
MORE_PRESETS: dict[int, dict[str, Any]] = {
    5: {
        **WITHOUT_PIXELS, "parametrisation": "fourier", "adam_rate": 0.04, "max_iter": 120,
        "jitter": 8, "rotate": 8.0, "scale": 0.1, "crop": 0.5, "noise": 10.0, "rival": 0.5,
    },
    6: {
        **WITHOUT_PIXELS, "parametrisation": "maco", "adam_rate": 0.25, "max_iter": 120,
        "crop": 0.4, "noise": 10.0, "rival": 0.5,
    },
}  # fmt: skip
ALL_PRESETS: dict[int, dict[str, Any]] = {**PRESETS, **MORE_PRESETS}

# name: least and greatest accepted value
_RANGES: dict[str, tuple[float, float]] = {
    "decay": (0, 1),
    "blur_radius": (0, 100),
    "tv": (0, 1000),
    "jitter": (0, 1000),
    "rotate": (0, 180),
    "scale": (0, 0.9),
    "crop": (0, 0.9),
    "noise": (0, 255),
    "rival": (0, 10),
    "pull": (0, 1000),
    "adam_rate": (1e-6, 100),
    **dict.fromkeys(PERCENTILES, (0, 100)),
}
_WHOLE: dict[str, tuple[int, int]] = {
    "blur_every": (0, 10**9),
    "jitter": (0, 1000),
    "max_iter": (1, 10**9),
    "rand_seed": (0, MAX_SEED),
    "push_channel": (0, 10**9),
}


@dataclass(frozen=True)
class FindParams:
    """What to push, how, and how long; the original's names and defaults of none.

    Parameters
    ----------
    push_layer : str
        A layer, or the blob of its name.
    push_channel : int
        The unit's channel, from 0.
    push_spatial : (int, int), optional
        Row and column in a convolution layer; None: the layer's centre.
    push_dir : float
        1 to maximise, -1 to minimise; other numbers scale the gradient.
    start_at : str
        `mean_plus_rand` (normal, 10 grey levels), `randu` or `mean`.
    rand_seed : int
        Seed of the start, through NumPy's legacy generator as in the original.
    decay : float
        Share of the image lost in each iteration, 0 to 1.
    blur_radius, blur_every : float, int
        Sigma in pixels of the Gaussian blur, and every how many iterations; 0: off.
    small_val_percentile, small_norm_percentile, px_benefit_percentile, \
px_abs_benefit_percentile : float
        0 (off) to 100: what is under that percentile becomes zero.
    lr_policy, lr_params : str, dict of str to float
        One of `optimize.policies.POLICIES` with its numbers; None: the policy's own.
    max_iter : int
        Iterations, from 1.
    tv : float
        Step down the total variation's gradient after each iteration, in grey levels.
    jitter : int
        The net sees the image shifted by up to so many pixels, anew in each iteration.
    rotate, scale : float
        The same turned by up to so many degrees, and scaled by up to this share.
    crop : float
        The net sees a part of what the unit sees, up to this share smaller, enlarged.
    noise : float
        The net sees the image with normal noise of so many grey levels.
    pull : float
        Hold the image near the picture it starts from: at 1 / pull grey levels' distance (root
        mean square) as strongly as the unit's gradient draws it away at the start; 0: not.
    parametrisation : str
        How the image is held while it is optimised: one of
        `optimize.parametrise.registry.PARAMETRISATIONS`.
    adam_rate : float
        Adam's rate, for the parametrisations that step by it.
    rival : float
        Share of the gradient of the strongest other unit there that is taken off, while that
        one is nearly as strong; for a single unit that is maximised.
    objective : str, optional
        An expression (see `optimize.ascent.objectives.parse`) in place of the single unit.
    full_image : bool
        Show the net the whole image even where the unit sees only part of it.
    """

    push_layer: str = "fc8"
    push_channel: int = 0
    push_spatial: tuple[int, int] | None = None
    push_dir: float = 1.0
    start_at: str = "mean_plus_rand"
    rand_seed: int = 0
    decay: float = 0.0
    blur_radius: float = 0.0
    blur_every: int = 0
    small_val_percentile: float = 0.0
    small_norm_percentile: float = 0.0
    px_benefit_percentile: float = 0.0
    px_abs_benefit_percentile: float = 0.0
    lr_policy: str = "constant"
    lr_params: Mapping[str, float] | None = None
    max_iter: int = 300
    tv: float = 0.0
    jitter: int = 0
    rotate: float = 0.0
    scale: float = 0.0
    crop: float = 0.0
    noise: float = 0.0
    pull: float = 0.0
    parametrisation: str = "pixels"
    adam_rate: float = 0.05
    rival: float = 0.0
    objective: str | None = None
    full_image: bool = False

    def __post_init__(self) -> None:
        """Check every value and bring it to its type.

        Raises
        ------
        ParamsError
            A value is not accepted; the sentence says which are.
        """
        put = object.__setattr__
        for name, (least, most) in _RANGES.items():
            put(self, name, _number(name, getattr(self, name), least, most))
        for name, (low, high) in _WHOLE.items():
            put(self, name, _whole(name, getattr(self, name), low, high))
        put(self, "push_dir", _number("push_dir", self.push_dir, -1e6, 1e6))
        if self.push_dir == 0:
            raise ParamsError("push_dir is 0; 1 maximises and -1 minimises")
        put(self, "push_spatial", _position(self.push_spatial))
        put(self, "lr_params", check_lr_params(self.lr_policy, self.lr_params))
        if self.start_at not in STARTS:
            raise ParamsError(f"start_at is {self.start_at!r}; {', '.join(STARTS)} are accepted")
        for name in ("push_layer", "parametrisation", "objective"):
            value = getattr(self, name)
            if not isinstance(value, str) and (name != "objective" or value is not None):
                raise ParamsError(f"{name} is {value!r}; a text is accepted")

    def replaced(self, **changes: Any) -> FindParams:
        """Return a copy with other values, checked as well."""
        _check_names(changes)
        return dataclasses.replace(self, **changes)

    @property
    def blurs(self) -> bool:
        """Whether the blur is on."""
        return self.blur_radius > 0 and self.blur_every > 0

    @property
    def rates(self) -> Mapping[str, float]:
        """The policy's numbers, those left out filled in."""
        return self.lr_params or {}

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        out = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        out["lr_params"] = dict(self.rates)
        out["push_spatial"] = None if self.push_spatial is None else list(self.push_spatial)
        return out

    def to_json(self) -> str:
        """Return the values as a JSON object."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FindParams:
        """Return the settings in a dict; names that are absent have their defaults.

        Raises
        ------
        ParamsError
            A name is unknown or a value is not accepted.
        """
        _check_names(values)
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> FindParams:
        """Return the settings in a JSON object; errors as for `from_dict`."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ParamsError(f"the settings are not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ParamsError("the settings are not a JSON object with a name for each value")
        return cls.from_dict(values)

    @classmethod
    def preset(cls, number: int, **others: Any) -> FindParams:
        """Return a preset's settings, with `others`: 1 to 4 are rows of the paper's table 1."""
        return cls.from_dict({**preset_values(number), **others})


def preset_values(number: int) -> dict[str, Any]:
    """Return all values that a preset sets, the paper's seven that are off as 0.

    Raises
    ------
    ParamsError
        There is no such preset.
    """
    if number not in ALL_PRESETS:
        raise ParamsError(f"there is no preset {number!r}; 1 to {len(ALL_PRESETS)} are accepted")
    return {**dict.fromkeys(PRESET_FIELDS, 0), **ALL_PRESETS[number]}


def _check_names(values: Mapping[str, Any]) -> None:
    known = [f.name for f in dataclasses.fields(FindParams)]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ParamsError(f"there is no setting {unknown[0]!r}; there are {', '.join(known)}")


def _number(name: str, value: Any, least: float, most: float) -> float:
    """Check a number; None counts as 0, as the original's defaults have it."""
    if value is None:
        return 0.0
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not least <= number <= most:  # NaN is in no range
        raise ParamsError(f"{name} is {value!r}; a number from {least:g} to {most:g} is accepted")
    return number


def _whole(name: str, value: Any, least: int, most: int) -> int:
    number = _number(name, value, least, most)
    if number != int(number):
        raise ParamsError(f"{name} is {value!r}; a whole number is accepted")
    return int(number)


def _position(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        row, column = value
    except (TypeError, ValueError):
        raise ParamsError(f"push_spatial is {value!r}; a row and a column are accepted") from None
    return (
        _whole("push_spatial's row", row, 0, 10**9),
        _whole("push_spatial's column", column, 0, 10**9),
    )
