"""Settings: read from Python files that users write, checked against a table.

The table itself is the project's `settings.py`, one `Setting` a row; this
module reads `settings_local.py` (or the file of `--settings`) and checks it.
Such a file is the user's own program, as in the original toolbox: it is run.
"""

from __future__ import annotations

import ast
import difflib
import runpy
import sys
import traceback
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from toolbox.settings.kinds import Kind

ROOT_MARK = "%DVT_ROOT%"


class SettingsError(Exception):
    """Settings that cannot be used; the message says which, where and why."""


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Parameters
    ----------
    name : str
        As users write it.
    default : object
        Used where the user's file does not set it.
    kind : Kind
        Checks and converts the value.
    help : str
        What it does.
    """

    name: str
    default: Any
    kind: Kind
    help: str


class Settings:
    """Checked values, one attribute for each setting; they do not change.

    Parameters
    ----------
    values : mapping of str to object
        By name.
    notes : iterable of str
        What the user should be told once, for instance names without effect.
    written : iterable of str
        Names that the user's file gives, as opposed to defaults.
    source : Path or None
        The user's file; None where there is none.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        notes: Iterable[str] = (),
        written: Iterable[str] = (),
        source: Path | None = None,
    ) -> None:
        object.__setattr__(self, "_values", dict(values))
        object.__setattr__(self, "notes", tuple(notes))
        object.__setattr__(self, "written", frozenset(written))
        object.__setattr__(self, "source", source)

    notes: tuple[str, ...]
    written: frozenset[str]
    source: Path | None

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"there is no setting {name!r}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings do not change while the app runs ({name})")

    def replaced(self, **values: Any) -> Settings:
        """Return the same settings with some values changed (unchecked)."""
        return Settings(self.__dict__["_values"] | values, self.notes, self.written, self.source)

    def as_of(self, source: Path, note: str) -> Settings:
        """Return the same settings as those of another file, which a note speaks of."""
        return Settings(self.__dict__["_values"], (*self.notes, note), self.written, source)


@dataclass(frozen=True)
class Table:
    """All that `settings.py` declares.

    Parameters
    ----------
    rows : tuple of Setting
        Every setting with an effect.
    legacy : frozenset of str
        Names that older files have and that nothing needs any more.
    bundled : mapping of str to object
        Values for the bundled model, used where the user names no model.
    model_keys : tuple of str
        The settings that name the model; any of them does.
    root : Path
        The checkout, for `%DVT_ROOT%`.
    """

    rows: tuple[Setting, ...]
    legacy: frozenset[str]
    bundled: Mapping[str, Any]
    model_keys: tuple[str, ...]
    root: Path


def load(table: Table, path: Path | None) -> Settings:
    """Read and check the user's file, or take the defaults and the bundled model.

    Parameters
    ----------
    table : Table
        What there is to set.
    path : Path or None
        The user's file; None where there is none.

    Returns
    -------
    Settings
        Every setting of the table.

    Raises
    ------
    SettingsError
        The file is missing or fails, or a name or value in it is wrong.
    """
    written = {} if path is None else _run(path)
    values, notes = _pick(table, written, path)
    if not any(values.get(key) is not None for key in table.model_keys):
        values = {**table.bundled, **values}
    base = (path or table.root / "settings.py").absolute().parent
    checked: dict[str, Any] = {}
    for row in table.rows:
        given = row.name in values
        value = values[row.name] if given else row.default
        checked[row.name] = _check(row, value, path if row.name in written else None)
        if row.kind.is_path:
            places = (Path.cwd(),) if row.kind.is_output else (base, table.root)
            checked[row.name] = _resolved(checked[row.name], places, table.root)
        if row.kind.is_font_size and not given:
            checked[row.name] *= checked.get("global_font_size", 1.0)
    return Settings(checked, notes, written, None if path is None else path.absolute())


def _run(path: Path) -> dict[str, Any]:
    """Run a settings file and return its public names."""
    if not path.is_file():
        raise SettingsError(f"The settings file {path} does not exist.")
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        return runpy.run_path(str(path), run_name="settings_local")
    except (Exception, SystemExit) as error:
        raise SettingsError(_explain(path, error)) from error
    finally:
        sys.dont_write_bytecode = before


def _explain(path: Path, error: BaseException) -> str:
    """Say in one sentence what failed in a settings file and in which line."""
    line: int | None = None
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno
    else:
        for entry in traceback.extract_tb(error.__traceback__):
            line = entry.lineno if entry.filename == str(path) else line
    where = f"{path}, line {line}" if line else str(path)
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"The settings file fails at {where}: {type(error).__name__}: {reason}"


def _pick(
    table: Table, written: Mapping[str, Any], path: Path | None
) -> tuple[dict[str, Any], list[str]]:
    """Choose the settings among a file's names; complain of what looks like one."""
    known = {row.name for row in table.rows}
    used = _names_used(path)
    values: dict[str, Any] = {}
    unused: list[str] = []
    for name, value in written.items():
        if name in known:
            values[name] = value
        elif name in table.legacy:
            unused.append(name)
        elif not _is_helper(name, value, known, used):
            raise SettingsError(
                f"{path} sets {name!r}, which is no setting{_nearest(name, known)}; "
                "begin a helper's name with an underscore."
            )
    notes = [f"{path}: no effect here: {', '.join(unused)}"] if unused else []
    return values, notes


def _names_used(path: Path | None) -> frozenset[str]:
    """Name what a settings file imports or reads itself, such as a folder of its paths."""
    if path is None:
        return frozenset()
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            used.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            used.update(alias.asname or alias.name for alias in node.names)
    return frozenset(used)


def _is_helper(name: str, value: object, known: Iterable[str], used: Container[str]) -> bool:
    """Tell a file's own helpers from misspelt settings.

    Modules, functions, names with an underscore, and names that the file reads
    itself are helpers, unless they are close to a setting's name.
    """
    if name.startswith("_") or isinstance(value, ModuleType):
        return True
    is_close = bool(difflib.get_close_matches(name, list(known), 1, 0.85))
    return (callable(value) or name in used) and not is_close


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), 1, 0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _check(row: Setting, value: object, path: Path | None) -> Any:
    try:
        return row.kind(value)
    except ValueError as error:
        where = f"{path}: " if path else ""
        raise SettingsError(f"{where}{row.name} {error}.") from error


def _resolved(value: Any, places: Sequence[Path], root: Path) -> Any:
    """Resolve a path, or all those in a dict; other values stay."""
    if isinstance(value, str):
        return _resolve(value, places, root)
    if isinstance(value, dict):
        return {key: _resolved(item, places, root) for key, item in value.items()}
    return value


def _resolve(text: str, places: Sequence[Path], root: Path) -> str:
    """Expand `%DVT_ROOT%` and `~`; look in each place for a relative path, or take the last."""
    path = Path(text.replace(ROOT_MARK, str(root))).expanduser()
    found = (place / path for place in places if (place / path).exists())
    return str(next(found, places[-1] / path))  # an absolute path stays as it is
