"""Module paths that programs and settings of users may name, after the modules moved into rooms.

An import of an old path gives the very module of the new one, so that a class is the same class
and a patched name is patched for all.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType


class _OldPaths(MetaPathFinder, Loader):
    def __init__(self, package: str, moved: Mapping[str, str]) -> None:
        self._moved = {f"{package}.{old}": f"{package}.{new}" for old, new in moved.items()}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in self._moved else None

    def exec_module(self, module: ModuleType) -> None:
        # The import system hands out what stands here afterwards.
        sys.modules[module.__name__] = importlib.import_module(self._moved[module.__name__])


def keep_old_paths(package: str, moved: Mapping[str, str]) -> None:
    """Let old module paths of a package be imported.

    Parameters
    ----------
    package : str
        The package's name.
    moved : mapping of str to str
        Old path -> new path, both below the package.
    """
    sys.meta_path.append(_OldPaths(package, moved))
