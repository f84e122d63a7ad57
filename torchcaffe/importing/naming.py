"""Names of blobs: the path of the module, as users of PyTorch know it."""

from __future__ import annotations

from collections import defaultdict

from torchcaffe.importing.program import Call


def free_name(base: str, *taken: set[str]) -> str:
    """Return `base`, or the first of `base_1`, `base_2`, ... that is in none of the sets."""
    name, number = base, 0
    while any(name in names for names in taken):
        number += 1
        name = f"{base}_{number}"
    return name


def _leaves(calls: list[Call]) -> set[str]:
    """Return the paths of modules that call no other module."""
    paths = {call.path for call in calls}
    parents: set[str] = set()
    for path in paths:
        parts = path.split(".")
        parents.update(".".join(parts[:i]) for i in range(1, len(parts)))
    return paths - parents - {""}


def call_names(calls: list[Call], taken: set[str]) -> list[str]:
    """Return a name for each call, all different and none in `taken`.

    The last call of a module without modules of its own makes that module's output, so it has
    the module's path. Any other has the path and the operator: `layer1.0.add`, or `add` in the
    model itself. What would have the name of an earlier one is called `..._1`, `..._2`, ...
    """
    leaves = _leaves(calls)
    visits: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, call in enumerate(calls):
        visits[call.path, call.visit].append(i)
    last = {places[-1] for (path, _), places in visits.items() if path in leaves}
    used, names = set(taken), []
    for i, call in enumerate(calls):
        if i in last:
            name = free_name(call.path, used)
        else:
            base = ".".join(filter(None, (call.path, call.called)))
            name = free_name(base, used, leaves)  # a module's path is kept for the module
        used.add(name)
        names.append(name)
    return names
