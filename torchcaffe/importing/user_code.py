"""Models that a user's own Python makes: "mynets:resnet", a module and what to call in it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from torch import nn

from torchcaffe.errors import ArgumentError, DefinitionError

# mynets:resnet, nets/mynets.py:resnet, mynets:resnet@3,32,32
_FORM = re.compile(r"(?P<where>.+?):(?P<what>[A-Za-z_][\w.]*)(@(?P<shape>\d+(,\d+)*))?\Z")
DEFAULT_SHAPE = (3, 224, 224)


@dataclass(frozen=True)
class UserModel:
    """Which function or class makes a model, and what it takes.

    Parameters
    ----------
    where : str
        A module's name, or the path of a .py file.
    what : str
        Something in it that, called without arguments, returns a module; or a module itself.
    shape : tuple of int
        Of an image: channels, height, width.
    """

    where: str
    what: str
    shape: tuple[int, ...] = DEFAULT_SHAPE


def parse(text: str) -> UserModel | None:
    """Read "mynets:resnet" or "nets/mynets.py:resnet@3,32,32"; None where it is a file's name."""
    match = _FORM.match(text)
    if match is None or Path(text).exists():
        return None
    if not match["where"].endswith(".py") and not re.fullmatch(r"[A-Za-z_][\w.]*", match["where"]):
        return None
    shape = tuple(map(int, match["shape"].split(","))) if match["shape"] else DEFAULT_SHAPE
    if len(shape) != 3:
        raise ArgumentError(f"{text}: behind @ stand channels, height and width, as @3,224,224")
    return UserModel(match["where"], match["what"], shape)


def make(model: UserModel) -> nn.Module:
    """Run the user's code.

    Raises
    ------
    DefinitionError
        It can't be imported, fails, or makes no module.
    """
    name = f"{model.where}:{model.what}"
    cure = ""
    try:
        found: object = _imported(model.where)
        for part in model.what.split("."):
            found = getattr(found, part)
        if not isinstance(found, nn.Module) and _needs_arguments(found):
            cure = "; name a function or class that makes the module without arguments"
        made = found if isinstance(found, nn.Module) else found()  # type: ignore[operator]
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == model.where.split(".")[0]:
            cure = (
                f"; begin in the folder that has {error.name}.py, or name the file with its path, "
                f"as nets/{error.name}.py:{model.what}"
            )
        reason = f"{type(error).__name__}: {error}"
        raise DefinitionError(f"{name} fails: {reason}{cure}") from error
    if not isinstance(made, nn.Module):
        raise DefinitionError(
            f"{name} makes a {type(made).__name__}; a torch.nn.Module, or a function or class that "
            "makes one without arguments, is accepted"
        )
    return made


def _needs_arguments(found: object) -> bool:
    try:
        inspect.signature(found).bind()  # type: ignore[arg-type]
    except TypeError:
        return True
    except ValueError:
        pass  # it has no signature
    return False


def _imported(where: str) -> ModuleType:
    if not where.endswith(".py"):
        sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(where)
        finally:
            sys.path.remove(str(Path.cwd()))
    path = Path(where).resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{where} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
