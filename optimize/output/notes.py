"""What a user has to know about some units: collected while they are made, told at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from optimize.ascent.results import FindResults
from optimize.params import FindParams

_NAMED = 20  # units that a sentence lists
_GREY = 20.0  # of contrast, in grey levels; photos have about 55
_ENOUGH = 50  # iterations; after fewer every picture is gray
_PALE = (
    f"the picture is nearly gray (its contrast is below {_GREY:g} grey levels, photos have about "
    "55); --preset 5 makes one that shows more"
)


def pale(params: FindParams, contrast: float) -> str:
    """Return what to say of a picture: how to get a better one where it is nearly gray."""
    paled = params.parametrisation == "pixels" and contrast < _GREY
    return _PALE if paled and params.max_iter >= _ENOUGH else ""


class Notes:
    """Sentences about units; those of one layer that share a sentence are told together.

    Attributes
    ----------
    failed : bool
        Whether some unit has no image.
    """

    def __init__(self) -> None:
        self.failed = False
        self._units: dict[tuple[str, str], set[int]] = {}
        self._objectives: dict[str, str] = {}

    def add(self, layer: str, channel: int, note: str, *, failed: bool) -> None:
        """Keep a note about a unit, and whether it has no image; an empty one is none."""
        self.failed |= failed
        if note:
            self._units.setdefault((layer, note), set()).add(channel)

    def add_run(self, params: FindParams, found: FindResults) -> None:
        """Keep the note about a run's unit, or about its objective."""
        failed = found.without_gradient
        note = found.note or pale(params, found.contrast)
        if params.objective is None:
            self.add(params.push_layer, params.push_channel, note, failed=failed)
        elif note:
            self.failed |= failed
            self._objectives[params.objective] = note

    def lines(self) -> list[str]:
        """Return the sentences."""
        about = [f"objective {text!r}: {note}" for text, note in self._objectives.items()]
        return about + [
            f"layer {layer!r}, {_named(sorted(units))}: {note}"
            for (layer, note), units in self._units.items()
        ]

    def tell(self) -> None:
        """Print them on standard error."""
        for line in self.lines():
            print(f"note: {line}", file=sys.stderr)


def _named(units: Sequence[int]) -> str:
    if len(units) == 1:
        return f"unit {units[0]}"
    more = f" and {len(units) - _NAMED} more" if len(units) > _NAMED else ""
    return f"units {', '.join(map(str, units[:_NAMED]))}{more}"
