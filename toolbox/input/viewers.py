"""What viewers in browsers send: their camera, and pictures they have dropped on the page.

Nothing here knows of a network connection: whoever has one puts in what came, and is told what
is wanted.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable

import cv2
import numpy as np
import PIL.Image

from toolbox.input.video import MovingError
from toolbox.pictures.image_file import ImageError, decode_image
from toolbox.pictures.images import Image, resize

DEVICE = "browser camera"
MAX_PIXELS = 64_000_000  # of a picture that is sent; a phone's have 50 million
MAX_CAMERA_PIXELS = 8_300_000  # 4K
KEPT = 16  # pictures
SHORT_SIDE = 1200  # of those; no pane shows more
LONGEST = 4  # times the short side
ALLOW_SECONDS = 60.0  # how long a viewer may think about giving the camera
FRAME_SECONDS = 0.5  # how long one frame may take; some may fail
START, FRAME, STOP = "start", "frame", "stop"
_BAD_LETTERS = re.compile(r"[^\w .,()+@-]")


def open_sent(data: bytes, name: str, most: int = MAX_PIXELS) -> Image:
    """Decode a picture that came over the network.

    Parameters
    ----------
    data : bytes
        A file of any kind that both Pillow and OpenCV know.
    name : str
        For the message.
    most : int
        Pixels: how large it is is read first, and a larger one is not decoded.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB.

    Raises
    ------
    ImageError
        It is none, damaged, cut off or too large.
    """
    try:
        with PIL.Image.open(io.BytesIO(data)) as opened:
            width, height = opened.size
    except PIL.Image.DecompressionBombError:
        width = height = most
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, KeyError, OverflowError):
        raise ImageError(
            f"{name} cannot be read: it is no JPEG, PNG, WebP, GIF, BMP or TIFF picture, or cut "
            "off; save it as JPEG or PNG"
        ) from None
    if width * height > most:
        raise ImageError(
            f"{name} cannot be read: it has more than the {most / 1e6:.0f} million pixels that "
            "are allowed"
        )
    return decode_image(np.frombuffer(data, np.uint8), name)


class SentPictures:
    """The last pictures that viewers sent, kept in memory and made as small as the panes need.

    They have paths that no file has, so that lists of files can hold them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}
        self._newest: str | None = None
        self._count = 0

    def add(self, image: Image, name: str) -> None:
        """Keep a picture (RGB), and show it next.

        Parameters
        ----------
        image : ndarray of uint8, shape (h, w, 3)
            Kept smaller where it is large.
        name : str
            What its file is called at the viewer's; shown, never opened.
        """
        height, width = image.shape[:2]
        scale = min(
            1.0, SHORT_SIDE / min(height, width), LONGEST * SHORT_SIDE / max(height, width)
        )  # fmt: skip
        small = resize(image, max(1, round(height * scale)), max(1, round(width * scale)))
        with self._lock:
            self._count += 1
            path = f"sent:{self._count}/{clean_name(name)}"
            self._images[path] = small
            self._newest = path
            while len(self._images) > KEPT:
                del self._images[next(iter(self._images))]

    def paths(self) -> list[str]:
        """List the pictures, in the order they came."""
        with self._lock:
            return list(self._images)

    def get(self, path: str) -> Image | None:
        """Return a picture, None where there is none of that path (any more)."""
        with self._lock:
            return self._images.get(path)

    def take_newest(self) -> str | None:
        """Return the path of a picture that has come since the last call, None without one."""
        with self._lock:
            newest, self._newest = self._newest, None
        return newest


def clean_name(name: str) -> str:
    """Make a file's name fit for the status line: its last part, without strange letters."""
    last = re.split(r"[/\\]", name)[-1]
    return _BAD_LETTERS.sub("_", last).strip()[:60] or "picture"


class BrowserCamera:
    """A viewer's camera as a capture: each `read` asks for one frame and waits for it.

    Threads: the methods of `Capture` run in the source's, the others in whichever brings what
    the viewer says.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: bytes | None = None
        self._allowed: bool | None = None
        self._reason = ""
        self.available = False
        """Whether the one who steers has a browser that can give a camera."""
        self.tell: Callable[[str], None] = lambda what: None
        """Called with `START`, `FRAME` or `STOP`: what is wanted of the viewer."""

    def open(self) -> BrowserCapture:
        """Ask the viewer for the camera."""
        with self._changed:
            self._frame, self._allowed, self._reason = None, None, ""
        self.tell(START)
        return BrowserCapture(self)

    def allow(self) -> None:
        """Note that the viewer gives it."""
        with self._changed:
            self._allowed = True
            self._changed.notify_all()

    def refuse(self, reason: str) -> None:
        """Note that the viewer does not give it, or has gone."""
        with self._changed:
            self._allowed, self._reason, self._frame = False, reason, None
            self._changed.notify_all()

    def put(self, data: bytes) -> None:
        """Take a frame, a JPEG file."""
        with self._changed:
            self._frame = data
            self._changed.notify_all()

    def wait_allowed(self, seconds: float) -> None:
        """Wait for the viewer's answer; raises `MovingError` where it is no."""
        with self._changed:
            self._changed.wait_for(lambda: self._allowed is not None, seconds)
            if not self._allowed:
                raise MovingError(self._reason or f"{DEVICE}: nobody has allowed it")

    def take(self, seconds: float) -> bytes | None:
        """Ask for a frame and wait for it; raises `MovingError` where there will be none."""
        self.tell(FRAME)
        with self._changed:
            self._changed.wait_for(lambda: self._frame or not self._allowed, seconds)
            if not self._allowed:
                raise MovingError(self._reason or f"{DEVICE} has stopped")
            frame, self._frame = self._frame, None
            return frame


class BrowserCapture:
    """What `cv2.VideoCapture` is for a camera of this machine."""

    def __init__(self, camera: BrowserCamera) -> None:
        self._camera = camera

    def isOpened(self) -> bool:
        """Wait until the viewer has allowed it; raises `MovingError` where not."""
        self._camera.wait_allowed(ALLOW_SECONDS)
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        """Return the next frame, BGR; False where none came in time or it is no picture."""
        data = self._camera.take(FRAME_SECONDS)
        try:
            image = open_sent(data, DEVICE, MAX_CAMERA_PIXELS) if data else None
        except ImageError:
            image = None
        if image is None:
            return False, np.empty((0, 0, 3), np.uint8)
        return True, cv2.cvtColor(image, cv2.COLOR_RGB2BGR)

    def get(self, property_id: int) -> float:
        """Know nothing of the camera."""
        return 0.0

    def set(self, property_id: int, value: float) -> bool:
        """Change nothing about it."""
        return False

    def release(self) -> None:
        """Let the viewer's camera go."""
        self._camera.tell(STOP)


class FromViewers:
    """Both together: what the inputs may show beside files and the machine's own camera."""

    def __init__(self) -> None:
        self.camera = BrowserCamera()
        self.pictures = SentPictures()
