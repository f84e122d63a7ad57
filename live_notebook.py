"""The live window in a notebook: `from live_notebook import show, close`, then `show()`.

The window runs in a process of its own, so the notebook goes on while it does, and a kernel
that ends takes it along. What the cell shows is the page of `live_vis.py --serve`.
"""

from __future__ import annotations

import atexit
import html
import os
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolbox.pictures.image_file import write_image

ROOT = Path(__file__).resolve().parent
READY = "Open in a browser: "
END_SECONDS = 5.0
HEIGHT = 620
_SHOWN: weakref.WeakSet[Shown] = weakref.WeakSet()


class ShowError(Exception):
    """The window could not be shown; the message is what live_vis.py said."""


class Shown:
    """A window in a notebook; a cell that ends with it shows it.

    Parameters
    ----------
    command : sequence of str
        Starts the server, which prints its address.
    height : int
        Of the frame in the cell, in pixels.
    proxy : str or None
        See `show`.
    folder : TemporaryDirectory or None
        Of pictures made for it; removed at its end.

    Raises
    ------
    ShowError
        The server did not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        height: int,
        proxy: str | None,
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self._height = height
        self._folder = folder
        self._said: list[str] = []
        # Its standard input ends with the kernel, however that ends, and the server with it.
        self._process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.startswith(READY):
            self.close()
            raise ShowError(
                " ".join(self._said).removeprefix("live_vis.py: ") or "it did not start"
            )
        self.url = line.removeprefix(READY).strip()
        self.source = self.url if proxy is None else _through(proxy, self.url)
        _SHOWN.add(self)

    @property
    def running(self) -> bool:
        """Whether it can be looked at."""
        return self._process.poll() is None

    @property
    def messages(self) -> tuple[str, ...]:
        """What the server said on its standard error, the last lines of it."""
        return tuple(self._said)

    def close(self) -> None:
        """End the window; called again, it does nothing."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(1.0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"the live window at {self.url}" if self.running else "a live window that has ended"

    def _repr_html_(self) -> str:
        """Show the page in a frame that may ask for the camera."""
        if not self.running:
            last = self._said[-1] if self._said else "it was closed"
            return f"<p>The live window has ended: {html.escape(last)}</p>"
        source = html.escape(self.source, quote=True)
        return (
            f'<iframe src="{source}" width="100%" height="{self._height}" '
            'style="border: 1px solid #888; box-sizing: border-box" '
            'allow="camera; clipboard-read; fullscreen"></iframe>'
        )

    def _read(self) -> None:
        for line in self._process.stderr or ():
            self._said.append(line.strip())
            del self._said[:-50]


def show(
    model: str | Path | None = None,
    photos: object = (),
    *,
    weights: str | Path | None = None,
    preset: str | None = None,
    settings: str | Path | None = None,
    height: int = HEIGHT,
    proxy: str | None = None,
) -> Shown:
    """Show the live window in the cell.

    Parameters
    ----------
    model : str or Path, optional
        As `--model` of live_vis.py: a .pt2 or .onnx file, a prototxt, or Python code as
        "mynets:resnet"; without it, the network of the settings or the bundled one.
    photos : path, array, or sequence of them, optional
        What to show: files or folders, or pictures as arrays of uint8, shape (h, w, 3), RGB.
    weights, preset, settings
        As the options of live_vis.py.
    height : int
        Of the frame in the cell, in pixels.
    proxy : str, optional
        Where the browser does not reach this machine: the path under which
        jupyter-server-proxy does, as "/proxy/{port}". On JupyterHub it is found by itself.

    Returns
    -------
    Shown
        What the cell shows; `close` ends it.

    Raises
    ------
    ShowError
        The model, a photo or an option is wrong; one sentence.
    """
    if proxy is None and "JUPYTERHUB_SERVICE_PREFIX" in os.environ:
        proxy = os.environ["JUPYTERHUB_SERVICE_PREFIX"] + "proxy/{port}"
    command = [sys.executable, str(ROOT / "live_vis.py"), "--serve", "127.0.0.1:0", "--in-notebook"]
    options = {"--model": model, "--weights": weights, "--preset": preset, "--settings": settings}
    for name, value in options.items():
        if not isinstance(value, str | Path | None):
            raise ShowError(
                f"{name[2:]} is a {type(value).__name__}; it must be a file. Of a network in "
                "memory (docs/pytorch.md): torch.export.save(torch.export.export(model.eval(), "
                "(torch.zeros(1, 3, 224, 224),)), 'net.pt2'), then show('net.pt2')"
            )
        command += [] if value is None else [name, str(value)]
    folder: tempfile.TemporaryDirectory[str] | None = None
    listed = [photos] if isinstance(photos, str | Path) or _is_picture(photos) else list(photos)  # type: ignore[call-overload]
    if any(_is_picture(each) for each in listed):
        folder = tempfile.TemporaryDirectory(prefix="live-notebook-")
    paths = [_path_of(each, number, folder) for number, each in enumerate(listed, 1)]
    return Shown([*command, *(["--image", *paths] if paths else [])], height, proxy, folder)


def close() -> None:
    """End every window that this notebook shows."""
    for shown in list(_SHOWN):
        shown.close()


def _is_picture(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 3


def _path_of(value: object, number: int, folder: tempfile.TemporaryDirectory[str] | None) -> str:
    """Return a photo's path; an array is written to a file first."""
    if not isinstance(value, np.ndarray):
        return str(value)
    if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or folder is None:
        raise ShowError(
            f"photo {number} is an array of {value.dtype} and shape {value.shape}; pictures are "
            "uint8, of shape (height, width, 3), RGB"
        )
    path = Path(folder.name) / f"{number:03d}.png"
    write_image(path, value)
    return str(path)


def _through(proxy: str, url: str) -> str:
    """Turn the server's address into its path behind a proxy."""
    _, _, host, path = url.split("/", 3)
    return f"{proxy.format(port=host.rpartition(':')[2]).rstrip('/')}/{path}"


atexit.register(close)
