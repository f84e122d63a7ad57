"""Which block of a network a layer belongs to, told from the layers' names.

A name is a path (`inception_3a/1x1`), or its layers share a beginning (`res2a_branch1`,
`res2a_branch2a`). A list of hundreds of layers then is one of some dozen blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def blocks_of(names: Sequence[str]) -> list[tuple[str, str]]:
    """Split names into block and the rest.

    Parameters
    ----------
    names : sequence of str
        Of all layers, as they are shown.

    Returns
    -------
    list of (str, str)
        For each its block, empty for one that stands alone; and what to show below the
        block's name: the whole name where the rest says nothing (`1` of `conv1_1`).
    """
    shared = Counter(start for name in names for start in _beginnings(name))
    blocks = {start for start, count in shared.items() if count > 1}
    return [_split(name, blocks) for name in names]


def _beginnings(name: str) -> list[str]:
    """List where a name without slashes can be cut, the longest beginning first."""
    if "/" in name:
        return []
    return [name[:at] for at in range(len(name) - 1, 0, -1) if name[at] == "_"]


def _split(name: str, blocks: set[str]) -> tuple[str, str]:
    if "/" in name:
        block, _, part = name.rpartition("/")
        return block, part or name
    block = next((start for start in _beginnings(name) if start in blocks), "")
    if block:
        part = name[len(block) :].strip("_")
        return block, name if part.isdigit() or not part else part
    return (name, name) if name in blocks else ("", name)
