"""From a .pt2 file to a `Program`, read as what it is: a zip of JSON and raw numbers.

`torch.export.load` also unpickles sample inputs; here nothing of the kind is looked at. The
layout is PyTorch's "PT2 archive": `models/model.json` has the graph,
`data/weights/model_weights_config.json` says which file has which tensor.
"""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchcaffe.blobs.blob import checked_shape
from torchcaffe.errors import CaffeError, DefinitionError, FileError
from torchcaffe.importing.program import (
    WRAPPERS,
    Call,
    Program,
    Ref,
    Value,
    bound,
    renamed,
    size_of,
)
from torchcaffe.layers.imported.operator import find_operator

# Of torch.export's schema: the numbers of types of tensors, layouts and memory formats.
DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 9: torch.complex32,
    10: torch.complex64, 11: torch.complex128, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
_LEFT_OUT = ("as_device", "as_layout", "as_memory_format")
_SCHEMA = 8  # the major number that this reads
_PLAIN = {"as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string"}
_CHECKS = ("_assert", "sym_constrain")
Json = dict[str, Any]


def read_archive(path: Path) -> Program:
    """Read a .pt2 file.

    Raises
    ------
    FileError, DefinitionError
        As for `torchcaffe.from_exported`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).program()
    except OSError as error:
        raise FileError(f"could not open file {path}: {error.strerror or error}") from error
    except zipfile.BadZipFile as error:
        raise FileError(
            f"{path} is not a .pt2 file, or is cut off: {error}; write it with torch.export.save"
        ) from error
    except CaffeError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(
            f"{path} is damaged, or was written by another version of PyTorch than this reads: "
            f"{type(error).__name__} {error}"
        ) from error


class _Archive:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        self.files = {name.partition("/")[2]: name for name in archive.namelist()}
        if "models/model.json" not in self.files:
            raise FileError(f"{path} {self._what_else()}")

    def _what_else(self) -> str:
        """Say what a zip without an exported program is."""
        if any(name.endswith("data.pkl") for name in self.archive.namelist()):
            return (
                "holds pickled Python objects (torch.save or TorchScript), which would run code "
                "from the file; write it with torch.export.save(torch.export.export(model, "
                "(images,)), 'net.pt2')"
            )
        if "serialized_exported_program.json" in self.archive.namelist():
            return "was written by PyTorch before 2.8, with pickled weights; export it anew"
        return "holds no exported program (models/model.json); write it with torch.export.save"

    def _json(self, name: str) -> Any:
        return json.loads(self.archive.read(self.files[name]))

    def program(self) -> Program:
        """Read the graph and all of its tensors."""
        model = self._json("models/model.json")
        version = model["schema_version"]["major"]
        if version != _SCHEMA:
            raise FileError(
                f"{self.path} has version {version} of torch.export's form, version {_SCHEMA} is "
                f"read; export it with PyTorch {torch.__version__}"
            )
        program = Program(self.path.stem)
        self._signature(program, model["graph_module"]["signature"]["input_specs"])
        _Graph(program, model["graph_module"]["graph"]).read()
        return program

    def _signature(self, program: Program, specs: list[Json]) -> None:
        weights = self._json("data/weights/model_weights_config.json")["config"]
        constants = self._json("data/constants/model_constants_config.json")["config"]
        for spec in specs:
            ((kind, content),) = spec.items()
            if kind == "user_input":
                if "as_tensor" not in content["arg"]:
                    raise DefinitionError(f"{self.path}: an input is no tensor; that is refused")
                program.inputs.append(content["arg"]["as_tensor"]["name"])
            elif kind in ("parameter", "buffer", "tensor_constant"):
                title = content[f"{kind}_name"]
                folder, entry = "weights", weights.get(title)
                if entry is None:
                    folder, entry = "constants", constants[title]
                name = content["arg"]["name"]
                program.constants[name] = self._tensor(title, f"data/{folder}/", entry)
                program.titles[name] = title
            else:
                raise DefinitionError(f"{self.path}: an input of the kind {kind} is refused")

    def _tensor(self, title: str, folder: str, entry: Json) -> Tensor:
        if entry.get("use_pickle"):
            raise FileError(
                f"{self.path} holds {title} as a pickle, which would run code from the file; "
                "export the model with plain tensors as its parameters and buffers"
            )
        meta = entry["tensor_meta"]
        dtype = DTYPES[meta["dtype"]]
        shape = checked_shape([size["as_int"] for size in meta["sizes"]], f"{title}")
        strides = [stride["as_int"] for stride in meta["strides"]]
        start = meta["storage_offset"]["as_int"]
        if not math.prod(shape):
            return torch.zeros(shape, dtype=dtype)
        raw = bytearray(self.archive.read(self.files[folder + entry["path_name"]]))
        flat = torch.frombuffer(raw, dtype=dtype)
        last = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if min(start, *strides, 0) < 0 or last >= len(flat):
            raise FileError(
                f"{self.path} is damaged: {title} of the shape {shape} needs {last + 1} numbers, "
                f"the file has {len(flat)}"
            )
        return flat.as_strided(shape, strides, start)


class _Graph:
    """Reads the nodes of the graph into a program.

    Parameters
    ----------
    inside : str, optional
        Of a graph within a graph, what its values' names begin with here.
    given : dict of str to str, optional
        Of a graph within a graph, which value each of its inputs is.
    """

    def __init__(
        self, program: Program, graph: Json, inside: str = "", given: dict[str, str] | None = None
    ) -> None:
        self.program, self.graph = program, graph
        self.inside, self.given = inside, given or {}

    def _name(self, name: str) -> str:
        return self.given.get(name, self.inside + name)

    def read_calls(self) -> None:
        """Read values and calls."""
        for name, meta in self.graph["tensor_values"].items():
            shape = tuple(map(_hint, meta["sizes"]))
            self.program.values[self._name(name)] = Value(shape, DTYPES[meta["dtype"]])
        for node in self.graph["nodes"]:
            self._node(node)

    def read(self) -> None:
        """Read values, calls and outputs."""
        first = next(iter(self.program.inputs), None)
        sizes = self.graph["tensor_values"][first]["sizes"] if first else []
        if sizes:
            self.program.batch = _hint(sizes[0])
            self.program.is_free = "as_expr" in sizes[0]
        self.read_calls()
        self.program.outputs = [
            output["as_tensor"]["name"] for output in self.graph["outputs"] if "as_tensor" in output
        ]

    def _node(self, node: Json) -> None:
        outputs = [name for output in node["outputs"] for name in _names(output)]
        target = node["target"].removeprefix("torch.ops.")
        is_check = target.split(".")[-2:-1] and target.split(".")[-2].startswith(_CHECKS)
        if is_check or not any(name in self.graph["tensor_values"] for name in outputs if name):
            return  # a check, or a size, which is read off where it is used
        if target in WRAPPERS:
            self._inner(node, outputs)
            return
        operator = find_operator(target)
        given = {
            item["name"]: self._argument(item["arg"])
            for item in node["inputs"]
            if not any(key in item["arg"] for key in _LEFT_OUT)
        }
        path, visit = _module_of(node.get("metadata", {}))
        made = [None if name is None else self._name(name) for name in outputs]
        self.program.calls.append(Call(operator, bound(operator, [], given), made, path, visit))

    def _inner(self, node: Json, outputs: list[str | None]) -> None:
        """Read the graph within a node as if its calls stood in the node's place."""
        arguments = [item["arg"] for item in node["inputs"]]
        at = next(i for i, argument in enumerate(arguments) if "as_graph" in argument)
        graph = arguments[at]["as_graph"]
        outer = [self._argument(argument) for argument in arguments[at + 1 :]]
        inner = [item["as_tensor"]["name"] for item in graph["graph"]["inputs"]]
        given = {name: ref.name for name, ref in zip(inner, outer, strict=True)}
        inside = f"{self.inside}{graph['name']}."
        reader = _Graph(self.program, graph["graph"], inside, given)
        reader.read_calls()
        made = [name for output in graph["graph"]["outputs"] for name in _names(output)]
        for name, own in zip(outputs, made, strict=True):
            if name is not None and own is not None:
                self.program.calls.append(renamed(reader._name(own), self._name(name)))

    def _argument(self, argument: Json) -> Any:
        ((kind, value),) = argument.items()
        if kind == "as_none":
            return None
        if kind == "as_tensor":
            return Ref(self._name(value["name"]))
        if kind in ("as_tensors", "as_optional_tensors"):
            return [
                self._argument(item if "name" not in item else {"as_tensor": item})
                for item in value
            ]
        if kind == "as_scalar_type":
            return DTYPES[value]
        if kind == "as_sym_int":
            return self._size(value)
        if kind == "as_sym_ints":
            return [self._size(item) for item in value]
        if kind in (
            "as_int",
            "as_ints",
            "as_float",
            "as_floats",
            "as_bool",
            "as_bools",
            "as_string",
        ):
            return value
        raise DefinitionError(f"the model has an argument of the kind {kind}, which is refused")

    def _size(self, value: Json) -> Any:
        if "as_int" in value:
            return value["as_int"]
        name = value["as_name"]
        return size_of(_hint(self.graph["sym_int_values"][name]), self.program.batch, name)


def _hint(size: Json) -> int:
    """Return a size in the example that was exported."""
    if "as_int" in size:
        return int(size["as_int"])
    hint = size["as_expr"].get("hint")
    if hint is None:
        raise DefinitionError(
            "the model's sizes depend on the values it computes; that can't be shown"
        )
    return int(hint["as_int"])


def _names(output: Json) -> list[str | None]:
    ((kind, value),) = output.items()
    if kind == "as_tensor":
        return [value["name"]]
    if kind == "as_tensors":
        return [item["name"] for item in value]
    if kind == "as_optional_tensors":
        return [item.get("as_tensor", {}).get("name") for item in value]
    return [value["as_name"]] if isinstance(value, dict) and "as_name" in value else [None]


def _module_of(metadata: dict[str, str]) -> tuple[str, str]:
    """Return the path of the innermost module and the key of this visit: "key,path,type;..."."""
    stack = metadata.get("nn_module_stack", "")
    if not stack:
        return "", ""
    key, path, *_ = [*stack.split(";")[-1].split(","), ""]
    return path, key
