"""Files that are no files of Caffe, told by their ending or first bytes, and what to do then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchcaffe.errors import FileError

_HEAD = 512  # as far as the mark of a tar archive reaches
_CAFFE = "give the network's Caffe files, a .prototxt and a .caffemodel"


@dataclass(frozen=True)
class Foreign:
    """A kind of file.

    Attributes
    ----------
    what : str
        What the file is, as in "x is ...".
    way : str
        What to do instead.
    endings : tuple of str
        Of the file's name, in small letters.
    marks : tuple of (int, bytes)
        Where bytes of the content stand, and which; letters in any case.
    wanted : str
        Only if this is what is expected there; empty: always.
    """

    what: str
    way: str
    endings: tuple[str, ...] = ()
    marks: tuple[tuple[int, bytes], ...] = ()
    wanted: str = ""

    def fits(self, name: str, head: bytes) -> bool:
        """Return whether a file of this name and beginning is of this kind."""
        low = head.lstrip().lower()
        return name.endswith(self.endings) or any(
            (low if at == 0 else head[at:].lower()).startswith(mark.lower())
            for at, mark in self.marks
        )


FOREIGN = (
    Foreign(
        "a pointer of Git LFS, not the file itself",
        "run `git lfs pull` in its folder",
        marks=((0, b"version https://git-lfs"),),
    ),
    Foreign(
        "a web page, not the file itself",
        "fetch the file anew, by its link for downloads",
        marks=((0, b"<!doctype html"), (0, b"<html")),
    ),
    Foreign("an ONNX network", _CAFFE, endings=(".onnx",)),
    Foreign("a file of PyTorch", _CAFFE, endings=(".pt", ".pth", ".pt2", ".ckpt")),
    Foreign("a file of safetensors", _CAFFE, endings=(".safetensors",)),
    Foreign("a file of TensorFlow or Caffe2", _CAFFE, endings=(".pb", ".tflite", ".keras")),
    Foreign("a file of Torch 7", _CAFFE, endings=(".t7",)),
    Foreign("a file of Darknet", _CAFFE, endings=(".weights", ".cfg")),
    Foreign("a file of MXNet", _CAFFE, endings=(".params",)),
    Foreign("a file of Core ML", _CAFFE, endings=(".mlmodel",)),
    Foreign(
        "a state of a training that was interrupted (solverstate)",
        "give the .caffemodel that was written with it",
        endings=(".solverstate", ".solverstate.h5"),
    ),
    Foreign(
        "an archive",
        "unpack it and give what is in it",
        endings=(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"),
        marks=((0, b"PK\x03\x04"), (0, b"\x1f\x8b"), (257, b"ustar")),
    ),
    Foreign(
        "a mean image",
        "give a .caffemodel or .h5 file here, and it as the mean",
        endings=(".binaryproto", ".npy"),
        marks=((0, b"\x93NUMPY"),),
        wanted="weights",
    ),
    Foreign(
        "a prototxt, not a caffemodel",
        "give a .caffemodel or an HDF5 (.h5) file",
        endings=(".prototxt", ".pbtxt"),
        wanted="weights",
    ),
)


def refuse_foreign(path: str | Path, wanted: str) -> None:
    """Say what a file is that could not be read, where its name or beginning tells.

    Only asked once reading has failed: a name alone proves nothing (`.pt` is also short for
    prototxt).

    Parameters
    ----------
    path : str or Path
        The file.
    wanted : str
        "a prototxt" or "weights".

    Raises
    ------
    FileError
        It is a file of another kind; one sentence with the way out.
    """
    with Path(path).open("rb") as file:
        head = file.read(_HEAD)
    for kind in FOREIGN:
        if kind.wanted in ("", wanted) and kind.fits(str(path).lower(), head):
            raise FileError(f"{path} is {kind.what}; {kind.way}")
