"""Key bindings as rows of data: keys, tag, help text and action in one place.

The loop looks a pressed key up here, the help overlay is drawn from the same
rows, and the command line takes its labels from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from toolbox.window.key_codes import LABELS

State = TypeVar("State")
TEXT_ENDS = ("enter", "esc")


@dataclass(frozen=True)
class Binding(Generic[State]):
    """One row: which keys do what, and how the help says it.

    Parameters
    ----------
    keys : tuple of str
        Labels of `toolbox.window.key_codes`, the first one as users know it best.
    tag : str
        The action's name, unique among all rows.
    help : str
        One line for the help overlay.
    action : callable
        Pure: takes the state before the press, returns the state after it.
    takes_text : bool
        The keys that follow are text (`App.type`) until `enter` or `esc`.
    """

    keys: tuple[str, ...]
    tag: str
    help: str
    action: Callable[[State], State]
    takes_text: bool = False

    def label(self) -> str:
        """Name the keys as the help shows them: `left or j`."""
        return " or ".join(self.keys)


class BindingError(Exception):
    """Rows that contradict each other, or a key that nothing is bound to."""


class Bindings:
    """The rows of the window and of all apps, looked up by key or by tag.

    Parameters
    ----------
    sections : sequence of (str, sequence of Binding)
        A heading for the help overlay and the rows below it.

    Raises
    ------
    BindingError
        A key or a tag occurs twice, or a key has no name in `toolbox.window.key_codes`.
    """

    def __init__(self, sections: Sequence[tuple[str, Sequence[Binding[Any]]]]) -> None:
        self.sections = tuple((heading, tuple(rows)) for heading, rows in sections)
        self._by_key: dict[str, Binding[Any]] = {}
        self._by_tag: dict[str, Binding[Any]] = {}
        for row in self:
            self._add(row)

    def __iter__(self) -> Iterator[Binding[Any]]:
        return (row for _, rows in self.sections for row in rows)

    def _add(self, row: Binding[Any]) -> None:
        if row.tag in self._by_tag:
            raise BindingError(f"The tag {row.tag} is declared twice; each action needs its own.")
        self._by_tag[row.tag] = row
        for key in row.keys:
            if key not in LABELS:
                raise BindingError(f"{row.tag} is bound to {key}, which no key is called.")
            if key in self._by_key:
                other = self._by_key[key].tag
                raise BindingError(f"The key {key} is bound to {other} and to {row.tag}.")
            self._by_key[key] = row

    def get(self, key: str) -> Binding[Any] | None:
        """Return the row that a key belongs to, None where it is not bound."""
        return self._by_key.get(key)

    def parse_keys(self, text: str) -> list[str]:
        """Read a list of key labels or tags, as given on the command line.

        Parameters
        ----------
        text : str
            Labels ("o", "pgdn") or tags ("sel_layer_right") with spaces or
            commas between them; a comma alone is the key of that name. Behind a
            row that takes text, any keys up to `enter` or `esc`.

        Returns
        -------
        list of str
            One key label for each press.

        Raises
        ------
        BindingError
            A word is neither a bound key nor a tag; the message lists both.
        """
        keys, typing = [], False
        for word in (part for whole in text.split() for part in _split_commas(whole)):
            key = word if typing and word in LABELS else self._key_of(word)
            row = self.get(key)
            typing = key not in TEXT_ENDS if typing else row is not None and row.takes_text
            keys.append(key)
        return keys

    def _key_of(self, word: str) -> str:
        if word in self._by_key:
            return word
        if word in self._by_tag:
            return self._by_tag[word].keys[0]
        known = " ".join(self._by_key)
        raise BindingError(
            f"Nothing is bound to the key {word!r}. Known keys: {known}; "
            f"an action's tag works too: {' '.join(self._by_tag)}."
        )

    def keys_for(self, tags: Iterable[str]) -> str:
        """Join the first keys of some actions, for a hint such as `o/u`."""
        return "/".join(self._by_tag[tag].keys[0] for tag in tags)


def _split_commas(word: str) -> list[str]:
    return [word] if word == "," else [part for part in word.split(",") if part]
