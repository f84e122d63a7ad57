"""Kinds of settings: each checks one value and returns it as the app uses it.

A kind raises `ValueError` with the end of a sentence, "must be ...".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import cv2


@dataclass(frozen=True)
class Kind:
    """A type of setting.

    Parameters
    ----------
    accepts : str
        What it takes, as the end of "must be ...".
    check : callable
        Returns the value to use, or raises `ValueError`, `TypeError` or
        `AttributeError` where it is none.
    is_path : bool
        `%DVT_ROOT%` is expanded and relative paths are resolved.
    is_output : bool
        With `is_path`: relative paths are those of the folder the app was started
        in, as on the command line, since it is written to and not read.
    is_font_size : bool
        Follows `global_font_size` unless set.
    """

    accepts: str
    check: Callable[[Any], Any]
    is_path: bool = False
    is_font_size: bool = False
    is_output: bool = False

    def __call__(self, value: Any) -> Any:
        """Check one value; raises `ValueError` with "must be ..."."""
        try:
            return self.check(value)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"must be {self.accepts}, but is {_show(value)}") from error


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


def _is_number(value: Any) -> bool:
    is_bool = isinstance(value, bool)  # Python counts these as numbers
    return isinstance(value, Real) and not is_bool and not math.isnan(value)


def number(low: float = 0.0, high: float = float("inf")) -> Kind:
    """Accept any number from `low` to `high`, as a float."""

    def check(value: Any) -> float:
        _require(_is_number(value) and low <= value <= high)
        return float(value)

    limits = f"from {low:g}" + ("" if high == float("inf") else f" to {high:g}")
    return Kind(f"a number {limits}", check)


def font_size() -> Kind:
    """Accept a font scale; left at its default it follows `global_font_size`."""
    return Kind("a number from 0.05", number(0.05).check, is_font_size=True)


def whole(low: int = 0) -> Kind:
    """Accept a whole number of at least `low`."""

    def check(value: Any) -> int:
        _require(_is_number(value) and value >= low and int(value) == value)
        return int(value)

    return Kind(f"a whole number from {low}", check)


def boolean() -> Kind:
    """Accept True or False; 0 and 1 work too."""

    def check(value: Any) -> bool:
        _require(isinstance(value, bool) or (_is_number(value) and value in (0, 1)))
        return bool(value)

    return Kind("True or False", check)


def text() -> Kind:
    """Accept any string."""

    def check(value: Any) -> str:
        _require(isinstance(value, str))
        return str(value)

    return Kind("a text in quotes", check)


def path() -> Kind:
    """Accept a file or folder, as a string or a `pathlib.Path`."""

    def check(value: Any) -> str:
        _require(hasattr(value, "__fspath__") or (isinstance(value, str) and value != ""))
        return str(value)

    return Kind("a path in quotes", check, is_path=True)


def output_path() -> Kind:
    """Accept a file or folder to write to, as a string or a `pathlib.Path`."""
    return Kind("a path in quotes", path().check, is_path=True, is_output=True)


def choice(*options: str) -> Kind:
    """Accept one of some words."""

    def check(value: Any) -> str:
        _require(value in options)
        return str(value)

    return Kind("one of " + ", ".join(map(repr, options)), check)


def optional(kind: Kind) -> Kind:
    """Accept None, or what another kind takes."""

    def check(value: Any) -> Any:
        return None if value is None else kind.check(value)

    return Kind(f"None or {kind.accepts}", check, kind.is_path, kind.is_font_size)


def one_of(*kinds: Kind) -> Kind:
    """Accept what any of some kinds takes; the first that fits converts it."""

    def check(value: Any) -> Any:
        for kind in kinds:
            try:
                return kind.check(value)
            except (ValueError, TypeError, AttributeError):
                continue
        raise ValueError

    return Kind(" or ".join(k.accepts for k in kinds), check, any(k.is_path for k in kinds))


def several(kind: Kind, at_least: int = 0, exactly: int | None = None) -> Kind:
    """Accept a list or tuple of values of one kind, as a tuple."""

    def check(value: Any) -> tuple[Any, ...]:
        _require(isinstance(value, Sequence) and not isinstance(value, str | bytes))
        items = tuple(kind.check(item) for item in value)
        _require(len(items) >= at_least if exactly is None else len(items) == exactly)
        return items

    count = "a list" if exactly is None else f"a list of {exactly}"
    return Kind(f"{count}, each item {kind.accepts}", check)


def colour() -> Kind:
    """Accept red, green, blue from 0 to 1."""
    kind = several(number(0, 1), exactly=3)
    return Kind("a colour: three numbers from 0 to 1 (red, green, blue)", kind.check)


def location() -> Kind:
    """Accept a row and a column in pixels."""

    def check(value: Any) -> tuple[int, int]:
        row, column = several(whole(), exactly=2).check(value)
        return row, column

    return Kind("a place: two whole numbers (row, column)", check)


def fraction_box() -> Kind:
    """Accept row, column, height, width as parts of the window."""

    def check(value: Any) -> tuple[float, ...]:
        row, column, height, width = several(number(0, 1), exactly=4).check(value)
        _require(row + height <= 1 + 1e-9 and column + width <= 1 + 1e-9)
        _require(height > 0 and width > 0)
        return row, column, height, width

    return Kind("four numbers from 0 to 1 (row, column, height, width) inside the window", check)


def font_face() -> Kind:
    """Accept the name or the number of an OpenCV font, as the number."""
    names = sorted(name for name in dir(cv2) if name.startswith("FONT_HERSHEY_"))

    def check(value: Any) -> int:
        faces = {name: int(getattr(cv2, name)) for name in names}
        _require(value in faces or value in faces.values())
        return faces[value] if isinstance(value, str) else int(value)

    return Kind(f"one of OpenCV's fonts ({', '.join(names)})", check)


def function() -> Kind:
    """Accept a function."""

    def check(value: Any) -> Callable[..., Any]:
        _require(callable(value))
        function: Callable[..., Any] = value
        return function

    return Kind("a function", check)


def mapping() -> Kind:
    """Accept a dict from text to text."""

    def check(value: Any) -> dict[str, str]:
        _require(isinstance(value, Mapping))
        return {text().check(key): text().check(item) for key, item in value.items()}

    return Kind("a dict from text to text", check)


def held() -> Kind:
    """Accept a dict from inputs to what they hold: a number, several, or a file."""
    value = one_of(several(number(-math.inf), 1), number(-math.inf), path())

    def check(given: Any) -> dict[str, Any]:
        _require(isinstance(given, Mapping))
        return {text().check(key): value.check(item) for key, item in given.items()}

    return Kind("a dict from inputs to a number, several, or a file", check, is_path=True)


def numbers() -> Kind:
    """Accept a dict from text to finite numbers."""

    def check(value: Any) -> dict[str, float]:
        _require(isinstance(value, Mapping))
        _require(all(_is_number(item) and math.isfinite(item) for item in value.values()))
        return {text().check(key): float(item) for key, item in value.items()}

    return Kind("a dict from text to numbers", check)


def pattern() -> Kind:
    """Accept a regular expression, kept as text."""

    def check(value: Any) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError from error
        return str(value)

    return Kind("a regular expression in quotes", check)


def window_panes() -> Kind:
    """Accept a layout: `(name, (row, column, height, width))` for each pane."""
    rectangle = several(
        Kind("a whole number", lambda v: int(v) if _is_number(v) else _require(False)), exactly=4
    )

    def check(value: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
        panes = dict(value).items() if isinstance(value, Mapping) else value
        return tuple((text().check(name), rectangle.check(place)) for name, place in panes)

    return Kind("a list of panes, each (name, (row, column, height, width))", check)


def apps() -> Kind:
    """Accept a list of apps, `(module, class)` each."""
    kind = several(several(text(), exactly=2), at_least=1)
    return Kind("a list of apps, each (module, class)", kind.check)
