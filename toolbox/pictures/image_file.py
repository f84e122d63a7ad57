"""Reading and writing picture files, with one clear sentence for what goes wrong."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from toolbox.pictures.images import Image, to_rgb8

MAX_BYTES = 2**29  # of a picture file
_DEFLATE = 1100  # a byte of a compressed file becomes at most 1032
# fmt: off
PICTURES = frozenset([
    ".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
])
# fmt: on
WRITABLE = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


class ImageError(Exception):
    """A picture file that cannot be read or written; the message is one sentence."""


class _Quiet:
    """OpenCV's log level, and how many threads want it silent just now."""

    lock = threading.Lock()
    wanted = 0
    before = 0


@contextlib.contextmanager
def opencv_quiet() -> Iterator[None]:
    """Keep OpenCV from printing its own warnings about a file or camera we report on.

    The level is the whole process's: it is silent until the last thread has left.
    """
    with _Quiet.lock:
        if not _Quiet.wanted:
            _Quiet.before = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        _Quiet.wanted += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.wanted -= 1
            if not _Quiet.wanted:
                cv2.utils.logging.setLogLevel(_Quiet.before)


def looks_like_picture(path: str | Path) -> bool:
    """Tell a file that is, or was to be, a picture from others, such as lists and notes.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    bool
        Whether its name ends as a picture's, even a broken one's (`PICTURES`, capitals or not),
        or it begins as a picture that OpenCV decodes, whatever its name.
    """
    if Path(path).suffix.lower() in PICTURES:
        return True
    with opencv_quiet():
        # Of a pipe, to read the beginning would be to wait for ever.
        return os.path.isfile(path) and cv2.haveImageReader(str(path))


def read_image(path: str | Path) -> Image:
    """Read a picture file of any kind that OpenCV decodes.

    Grey, palette, transparent (on white), 16-bit and float pictures all become
    8-bit RGB, and a photo is turned the way up that its EXIF data says. A file that
    is cut off is no picture, even where its beginning could be shown: the network
    would answer to the grey that stands for the rest.

    Parameters
    ----------
    path : str or Path
        The file; spaces and any letters are fine.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB, 0 to 255.

    Raises
    ------
    ImageError
        The file is missing, unreadable, cut off, too large, or no picture.
    """
    name = Path(path).name
    return decode_image(_read_bytes(path, name), name)


def decode_image(data: npt.NDArray[np.uint8], name: str) -> Image:
    """Decode a picture file that is in memory already, as `read_image` does.

    Parameters
    ----------
    data : ndarray of uint8, shape (bytes,)
        The whole file.
    name : str
        For the message.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB, 0 to 255.

    Raises
    ------
    ImageError
        It is cut off, too large, or no picture.
    """
    try:
        with opencv_quiet():
            pixels = _decode(data)
        if pixels is None:
            raise ImageError(
                f"{name} cannot be read: it is not a picture OpenCV can decode, or it is cut off"
            )
        return to_rgb8(pixels)
    except (cv2.error, ValueError, MemoryError) as error:
        raise ImageError(f"{name} cannot be read: {_reason(error)}") from error


def _read_bytes(path: str | Path, name: str) -> npt.NDArray[np.uint8]:
    """Read a whole file; raises `ImageError`."""
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):  # reading a pipe would wait for ever
            raise ImageError(f"{name} cannot be read: it is not a file")
        if about.st_size > MAX_BYTES:
            raise ImageError(f"{name} cannot be read: it is larger than {MAX_BYTES >> 20} MB")
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ImageError(f"{name} cannot be read: {reason}") from error
    if data.size == 0:
        raise ImageError(f"{name} cannot be read: the file is empty")
    return data


def _decode(data: npt.NDArray[np.uint8]) -> npt.NDArray[Any] | None:
    """Decode a file as it is, but the way up that EXIF says; None where it is no picture."""
    if _promises_too_much(data):
        return None
    if data[:2].tobytes() != b"\xff\xd8":  # a JPEG is never transparent
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels is None or _has_alpha(pixels):
            return pixels
    # The unchanged flag leaves EXIF's rotation out; this one applies it.
    return cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)


def _promises_too_much(data: npt.NDArray[np.uint8]) -> bool:
    """Tell a PNG that says more than its bytes can hold, before OpenCV takes memory for that.

    Its head may say more pixels, and a chunk more bytes than are left of the file.
    """
    whole = data.data
    if bytes(whole[:8]) != b"\x89PNG\r\n\x1a\n":
        return False
    width, height = (int.from_bytes(whole[at : at + 4], "big") for at in (16, 20))
    if width * height / 8 > _DEFLATE * len(whole):  # at least a bit a pixel
        return True
    at = 8
    while at + 12 <= len(whole) and bytes(whole[at + 4 : at + 8]) != b"IEND":
        at += 12 + int.from_bytes(whole[at : at + 4], "big")
    return at > len(whole)


def _reason(error: Exception) -> str:
    """Say why a picture could not be decoded."""
    if "CV_IO_MAX_IMAGE" in str(error):
        pixels = int(os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", 2**30))
        return f"it has more than the {pixels / 1e6:.0f} million pixels that are allowed"
    return str(error) if isinstance(error, ValueError) else "it is damaged or too large"


def _has_alpha(pixels: npt.NDArray[Any]) -> bool:
    return pixels.ndim == 3 and pixels.shape[2] in (2, 4)


def check_writable(path: str | Path, endings: Sequence[str] = WRITABLE) -> None:
    """Make sure early that a picture, or a film, can be written there.

    Parameters
    ----------
    path : str or Path
        Where the picture is to go.
    endings : sequence of str
        Those of the known formats.

    Raises
    ------
    ImageError
        The ending names no known format, or the folder is missing.
    """
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise ImageError(f"{path} cannot be written: its ending must be one of {' '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise ImageError(f"{path} cannot be written: the folder {path.parent} does not exist")
    if path.is_dir():
        raise ImageError(f"{path} cannot be written: it is a folder")


def write_image(path: str | Path, image: Image) -> None:
    """Write a picture beside its place and rename it, so it is whole or not there.

    Parameters
    ----------
    path : str or Path
        Its ending chooses the format.
    image : ndarray of uint8, shape (h, w, 3)
        RGB.

    Raises
    ------
    ImageError
        The format is unknown or the file system refuses.
    """
    path = Path(path)
    check_writable(path)
    done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ImageError(f"{path} cannot be written: OpenCV cannot encode {path.suffix}")
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(data.tobytes())
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        reason = (error.strerror or type(error).__name__).lower()
        raise ImageError(f"{path} cannot be written: {reason}") from error
