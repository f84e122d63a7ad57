"""Which network a folder of unit images was made from: a small file beside the pictures.

The batch tools write it into the folder of each layer whose pictures they make; one in a folder
above counts for all below that have none of their own, so a whole model may have a single one.
A folder without any (published images, older ones) is of no known network and is shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from toolbox.pictures.file_versions import version
from toolbox.settings.presets import is_python

NAME = "made_from.json"
NO_WEIGHTS = "-"  # of a model that Python code makes


class StampError(Exception):
    """A stamp that cannot be made, read or written, or that is another network's; one sentence."""


@dataclass(frozen=True)
class Stamp:
    """A network: names of its two files, for messages, and what is in them.

    Parameters
    ----------
    net, weights : str
        File names, without folders.
    net_sha256 : str
        Of the definition, without comments and spaces, which change no picture.
    weights_sha256 : str
        Of the file of weights.
    """

    net: str
    weights: str
    net_sha256: str
    weights_sha256: str

    def same(self, other: Stamp) -> bool:
        """Tell whether two stamps are of one network, however its files are called."""
        mine = (self.net_sha256, self.weights_sha256)
        return mine == (other.net_sha256, other.weights_sha256)

    def name(self, other: Stamp) -> str:
        """Name the network by what tells it from another one."""
        if self.weights_sha256 == other.weights_sha256:
            return f"{self.net} ({self.net_sha256[:8]})"
        return f"{self.weights} ({self.weights_sha256[:8]})"


def stamp_of(net: str | Path, weights: str | Path) -> Stamp:
    """Read what identifies a network.

    Parameters
    ----------
    net, weights : str or Path
        Its definition (.prototxt, .pt2, .onnx, or Python code as "nets.py:resnet") and its weights
        ("-" for none).

    Raises
    ------
    StampError
        A file cannot be read.
    """
    try:
        # Of the same file again only where it has changed: weights are large.
        digests = (definition_digest(str(net)), _weights_digest(str(weights)))
    except OSError as error:
        raise StampError(f"{error.filename} cannot be read: {_reason(error)}") from error
    return Stamp(Path(net).name, Path(weights).name, *digests)


def read_stamp(folder: str | Path, root: str | Path) -> Stamp | None:
    """Read the stamp that counts for a folder: its own, or the nearest one above.

    Parameters
    ----------
    folder : str or Path
        Where pictures lie.
    root : str or Path
        The folder of unit images, the last one to look in.

    Returns
    -------
    Stamp or None
        None where there is none.

    Raises
    ------
    StampError
        There is one that cannot be read.
    """
    folder, root = Path(folder), Path(root)
    below = [folder, *folder.parents]
    for place in below[: below.index(root) + 1] if root in below else [folder]:
        path = place / NAME
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            return Stamp(**{key: str(written[key]) for key in Stamp.__dataclass_fields__})
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StampError(f"{path} cannot be read: {_reason(error)}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StampError(
                f"{path} does not say which network the pictures beside it were made from; "
                "remove it, or make the pictures again"
            ) from error
    return None


def write_stamp(folder: str | Path, stamp: Stamp) -> None:
    """Write a folder's stamp beside its place and rename it; the folder is made where missing.

    Raises
    ------
    StampError
        The file system refuses.
    """
    path = Path(folder) / NAME
    beside = path.with_name(f".{NAME}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(asdict(stamp), indent=1) + "\n", encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StampError(f"{path} cannot be written: {_reason(error)}") from error


def foreign(folder: str | Path, root: str | Path, own: Stamp) -> str:
    """Say in a sentence that a folder's pictures are of another network; empty where not.

    Parameters
    ----------
    folder, root : str or Path
        As of `read_stamp`.
    own : Stamp
        The network at hand.

    Raises
    ------
    StampError
        The folder's stamp cannot be read.
    """
    made = made_from_another(folder, root, own)
    return f"the pictures in {folder} were {made}" if made else ""


def made_from_another(folder: str | Path, root: str | Path, own: Stamp) -> str:
    """Say the same of pictures that the caller names: `made from A, not B`; empty where not.

    Parameters and errors are those of `foreign`.
    """
    found = read_stamp(folder, root)
    if found is None or found.same(own):
        return ""
    return f"made from {found.name(own)}, not {own.name(found)}"


def _version(path: str | Path) -> tuple[str, int, int]:
    """Name a file's content without reading it."""
    os.stat(path)  # where there is none, that is the error
    return os.path.abspath(path), *version(path)


def definition_digest(net: str) -> str:
    """Return a number (hexadecimal) that a definition determines, comments and spaces apart.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if not is_python(net):
        return _net_digest(*_version(net))
    where, what = net.rsplit(":", 1)
    code = _file_digest(*_version(where)) if where.endswith(".py") else where
    return hashlib.sha256(f"{code}:{what}".encode()).hexdigest()


def _weights_digest(weights: str) -> str:
    return (
        hashlib.sha256().hexdigest() if weights == NO_WEIGHTS else _file_digest(*_version(weights))
    )


@lru_cache(maxsize=8)
def _net_digest(path: str, changed: int, size: int) -> str:
    text = Path(path).read_bytes()
    bare = b" ".join(re.sub(rb"#[^\n]*", b"", text).split())
    return hashlib.sha256(bare).hexdigest()


@lru_cache(maxsize=8)
def _file_digest(path: str, changed: int, size: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
