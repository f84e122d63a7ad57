"""The ways in: a module, a .pt2 file, an ONNX file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import nn

from torchcaffe.engine.net import Net
from torchcaffe.errors import CaffeError, FileError
from torchcaffe.importing.archive import read_archive
from torchcaffe.importing.convert import to_net
from torchcaffe.importing.onnx_graph.reading import read_onnx
from torchcaffe.importing.trace import export_module, in_float32, read_exported

Shapes = Sequence[int] | Sequence[Sequence[int]]


def _listed(shape: Shapes) -> list[tuple[int, ...]]:
    """Return one shape an input, from one shape or several."""
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) == len(shape):
        return [tuple(sizes)]
    return [tuple(one) for one in shape if not isinstance(one, int)]


def from_torch(module: nn.Module, shape: Shapes = (3, 224, 224)) -> Net:
    """Build a net that computes what a PyTorch module does when testing.

    Parameters
    ----------
    module : torch.nn.Module
        Of one or several inputs, in any mode (it is put back); its parameters are copied, as
        float32.
    shape : tuple of int, or a tuple of such tuples
        Of an input without the number of images: channels, height, width. For a module of
        several inputs, a shape each.

    Returns
    -------
    Net
        Its blobs have the modules' paths as names (`layer2.1.conv1`); what a module computes
        without a module of its own has the operator's name behind it (`layer1.0.add`).

    Raises
    ------
    DefinitionError
        torch.export refuses the module; one sentence.
    """
    ready = in_float32(module)
    exported = export_module(ready, _listed(shape))
    return to_net(read_exported(exported, type(module).__name__))


def from_exported(path: str | Path) -> Net:
    """Build a net from a .pt2 file that `torch.export.save` wrote.

    The file is read as what it is, a zip archive of JSON and raw numbers; nothing in it is run
    or unpickled.

    Raises
    ------
    FileError
        It is missing, damaged, no such archive, or holds weights as a pickle.
    DefinitionError
        It calls what is no operator of ATen, or takes no image.
    """
    program = read_archive(Path(path))
    with _damage_said(path):
        return to_net(program)


@contextlib.contextmanager
def _damage_said(path: str | Path) -> Iterator[None]:
    """Context in which what only a damaged file leads to is a sentence."""
    try:
        yield
    except CaffeError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise FileError(
            f"{path} is damaged, or calls an operator as none is called: "
            f"{type(error).__name__} {str(error).splitlines()[0] if str(error) else ''}"
        ) from error


def from_onnx(path: str | Path) -> Net:
    """Build a net from an ONNX file; needs the package onnx (requirements-onnx.txt).

    Raises
    ------
    FileError
        The package or the file is missing, or the file is damaged.
    DefinitionError
        A node is of a kind that is not known, or the input has no fixed size.
    """
    with _damage_said(path):
        module, inputs = read_onnx(Path(path))
        images = next((count for count, _ in inputs), None)
        exported = export_module(module, [shape for _, shape in inputs], images)
        return to_net(read_exported(exported, Path(path).stem))
