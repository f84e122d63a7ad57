"""Tiny networks, photos and settings files, and a display of one's own."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import torchcaffe as caffe
from live_vis import main
from tests.pictures import write_sheet, write_unit
from toolbox.pictures.image_file import write_image

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}

PROTOTXT = """
name: "tiny"
force_backward: true
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 12 kernel_size: 5 stride: 2
                            weight_filler { type: "gaussian" std: 0.05 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
        convolution_param { num_output: 20 kernel_size: 3 pad: 1
                            weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
        inner_product_param { num_output: 7 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder with a network, labels, three photos and a settings file."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "tiny.prototxt").write_text(PROTOTXT, encoding="utf-8")
    caffe.set_random_seed(3)
    caffe.Net(str(folder / "tiny.prototxt"), caffe.TEST).save(str(folder / "tiny.caffemodel"))
    labels = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]
    (folder / "labels.txt").write_text("\n".join(labels), encoding="utf-8")
    photos = folder / "photos"
    photos.mkdir()
    random = np.random.default_rng(5)
    for number, name in enumerate(["a first.png", "b.png", "c.png"]):
        coarse = random.integers(0, 255, (6, 9, 3), dtype=np.uint8)
        photo = coarse.repeat(20, 0).repeat(20, 1)
        photo[:8] = 80 * number
        write_image(photos / name, photo)
    write_sheet(folder / "unit_jpg_vis", "conv1", 12)
    for unit in range(12):
        write_unit(folder / "unit_jpg_vis", "conv1", unit)
    (folder / "settings.py").write_text(
        "caffevis_deploy_prototxt = 'tiny.prototxt'\n"
        "caffevis_network_weights = 'tiny.caffemodel'\n"
        "caffevis_data_mean = (104, 117, 123)\n"
        "caffevis_labels = 'labels.txt'\n"
        "caffevis_label_layers = ('fc', 'prob')\n"
        "caffevis_prob_layer = 'prob'\n"
        "static_files_dir = 'photos'\n"
        "input_updater_capture_device = 97\n"
        "window_panes = (('input', (0, 0, 200, 200)), ('caffevis_aux', (200, 0, 200, 200)),\n"
        "    ('caffevis_back', (400, 0, 200, 200)), ('caffevis_status', (600, 0, 30, 1200)),\n"
        "    ('caffevis_control', (0, 200, 30, 800)),\n"
        "    ('caffevis_layers', (30, 200, 570, 800)),\n"
        "    ('caffevis_jpgvis', (0, 1000, 600, 200)))\n"
        "caffevis_unit_jpg_dir = 'unit_jpg_vis'\n"
        "caffevis_jpgvis_remap = {'pool1': 'conv1'}\n"
        f"saved_pictures_dir = {str(folder / 'saved')!r}\n",
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def live_vis(world) -> Callable[..., subprocess.CompletedProcess]:
    """Run live_vis.py with the tiny network, without a display."""

    def run(*arguments: object, settings: Path | None = None) -> subprocess.CompletedProcess:
        command = [sys.executable, str(ROOT / "live_vis.py")]
        command += ["--settings", str(settings or world / "settings.py")]
        return subprocess.run(
            command + [str(argument) for argument in arguments],
            env={key: value for key, value in ENVIRONMENT.items() if key not in HIDDEN},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


@dataclass(frozen=True)
class Ended:
    """What a run in this process left: exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def in_process(world, capfd, monkeypatch) -> Callable[..., Ended]:
    """Do what `live_vis` does in this process, which has loaded PyTorch already."""
    for name in HIDDEN:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object, settings: Path | None = None) -> Ended:
        before, threads = warnings.showwarning, threading.active_count()
        capfd.readouterr()
        command = ["--settings", str(settings or world / "settings.py"), *map(str, arguments)]
        try:
            code = main(command)
        except SystemExit as ended:
            code = int(str(ended.code))
        finally:
            warnings.showwarning = before
        assert threading.active_count() == threads
        return Ended(code, *capfd.readouterr())

    return run


class Display:
    """An Xvfb whose screen is a file, and xdotool to press keys on it."""

    WIDTH, HEIGHT = 1280, 720

    def __init__(self, folder: Path) -> None:
        self.file = folder / "Xvfb_screen0"
        # A number of its own: two runs that ask the server for a free one may get the same.
        self.name = f":{1000 + os.getpid() % 50000}"
        read, write = os.pipe()
        screen = f"{self.WIDTH}x{self.HEIGHT}x24"
        self.server = subprocess.Popen(
            ["Xvfb", self.name, "-displayfd", str(write), "-screen", "0", screen,
             "-fbdir", str(folder), "-nolisten", "tcp", "-noreset"],
            pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read, encoding="ascii") as pipe:
            assert pipe.readline().strip() == self.name[1:], "Xvfb did not start"

    def environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "DISPLAY": self.name}

    def xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments], env=self.environment(), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.strip()

    def ask_to_close(self, window: str) -> None:
        """Send a window what its close button sends (xdotool can only destroy it)."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = x11.XInternAtom.restype = ctypes.c_void_p
        connection = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        atoms = [
            x11.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
        ]
        client_message, event = 33, (ctypes.c_long * 24)()
        event[0], event[4], event[5], event[6], event[7] = (
            client_message,
            int(window),
            atoms[0],
            32,
            atoms[1],
        )
        x11.XSendEvent(connection, ctypes.c_ulong(int(window)), 0, ctypes.c_long(0), event)
        x11.XCloseDisplay(connection)

    def set_density(self, dpi: int) -> None:
        """Do what a desktop does that is set to more pixels an inch than 96."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XDefaultRootWindow.restype = ctypes.c_ulong
        connection = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        manager, string = 23, 31  # the atoms RESOURCE_MANAGER and STRING
        text = f"Xft.dpi:\t{dpi}\n".encode()
        root = ctypes.c_ulong(x11.XDefaultRootWindow(connection))
        x11.XChangeProperty(connection, root, ctypes.c_ulong(manager), ctypes.c_ulong(string), 8,
                            0, text, len(text))  # fmt: skip
        x11.XCloseDisplay(connection)

    def picture(self) -> np.ndarray:
        """Read the screen as RGB from the XWD file that Xvfb keeps."""
        data = self.file.read_bytes()
        header = np.frombuffer(data[:100], ">u4")
        start = int(header[0]) + 12 * int(header[19])
        pixels = np.frombuffer(data, np.uint8, self.WIDTH * self.HEIGHT * 4, start)
        blue_first = pixels.reshape(self.HEIGHT, self.WIDTH, 4)
        return blue_first[:, :, 2::-1]

    def close(self) -> None:
        self.server.terminate()
        self.server.wait(10)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait until a condition holds; fail with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.03)


PANES = {
    "input": (slice(0, 200), slice(0, 200)),
    "aux": (slice(200, 400), slice(0, 200)),
    "back": (slice(400, 600), slice(0, 200)),
    "status": (slice(600, 630), slice(0, 1200)),
    "control": (slice(0, 30), slice(200, 1000)),
    "layers": (slice(30, 600), slice(200, 1000)),
    "jpgvis": (slice(0, 600), slice(1000, 1200)),
}


class Session:
    """A running live_vis.py whose window has the focus."""

    PANES = PANES

    def __init__(self, display: Display, world, *arguments: str) -> None:
        self.display = display
        command = [sys.executable, str(ROOT / "live_vis.py"), "--settings",
                   str(world / "settings.py"), *arguments]  # fmt: skip
        self.process = subprocess.Popen(
            command, env=display.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.window = ""
        try:
            self.start()
        except BaseException:
            self.end()
            raise

    def start(self) -> None:
        """Wait for the window with its first photo, and give it the focus."""
        # The pointer is part of the screen's picture: out of the window with it.
        self.pointer_away()
        wait_for(lambda: self.ended() or self.find_window(), "the window", 60)
        assert not self.ended(), self.process.stderr.read()
        wait_for(self.is_painted, "the photo", 60)
        # A window is shown, resized and shown again at first: it keeps the focus only then.
        wait_for(self.take_focus, "the focus")

    def is_painted(self) -> bool:
        """Look for the photo; show the window anew where it does not come.

        On an overloaded machine Qt 5 misses a window's first Map and Expose events in a few
        of a hundred starts (plain `cv2.imshow` too), and paints only when it is shown again.
        """
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if len(np.unique(self.pane("input"))) > 10:
                return True
            time.sleep(0.03)
        for what in ("windowunmap", "windowmap"):
            self.display.xdotool(what, self.window)
        return False

    def ended(self) -> bool:
        return self.process.poll() is not None

    def take_focus(self) -> bool:
        self.display.xdotool("windowfocus", self.window)
        time.sleep(0.1)
        return self.display.xdotool("getwindowfocus") == self.window

    def find_window(self) -> bool:
        found = self.find("Deep Visualization Toolbox").split()
        self.window = found[0] if found else ""
        return bool(found)

    def find(self, title: str) -> str:
        return self.display.xdotool("search", "--onlyvisible", "--name", title)

    def pane(self, name: str) -> np.ndarray:
        return self.display.picture()[PANES[name]].copy()

    def quiet(self) -> dict[str, np.ndarray]:
        """Wait until the picture stands still, and return its panes.

        A look counts only while all threads of app and server wait: one that has work but gets
        no time from a busy machine has not drawn yet.
        """
        before, same = self.display.picture(), 0
        deadline = time.monotonic() + 30
        while same < 4:
            assert time.monotonic() < deadline
            time.sleep(0.04)
            waits, now = self.waits(), self.display.picture()
            same = (same + waits) if np.array_equal(before, now) else 0
            before = now
        return {name: before[place].copy() for name, place in PANES.items()}

    def waits(self) -> bool:
        """Return whether every thread of app and server sleeps, as between two looks for keys."""
        states = set()
        for pid in (self.process.pid, self.display.server.pid):
            for task in Path(f"/proc/{pid}/task").glob("*/stat"):
                try:
                    text = task.read_text(encoding="ascii", errors="replace")
                except OSError:
                    continue  # it has ended
                states.add(text.rpartition(")")[2].split()[0])
        return states <= {"S"}

    def press(self, *keys: str) -> dict[str, np.ndarray]:
        """Press keys as a user does, and return the panes when all is still.

        A window that gets no time would find several keys waiting, of which HighGUI keeps the
        last: so each waits for the one before.
        """
        for key in keys:
            self.display.xdotool("key", key)
            time.sleep(0.04)
            self.wait_for(self.waits, f"the app after {key}")
        return self.quiet()

    def click(self, pane: str, row: int, column: int, button: int = 1) -> dict[str, np.ndarray]:
        """Use a button (4 and 5 are the wheel) in a pane, and return the panes when all is still.

        The pointer is taken out of the window again: it is part of the picture.
        """
        place = PANES[pane]
        x, y = str(place[1].start + column), str(place[0].start + row)
        self.display.xdotool("mousemove", "--window", self.window, x, y, "click", str(button))
        self.pointer_away()
        return self.quiet()

    def pointer_away(self) -> None:
        right, bottom = str(self.display.WIDTH - 1), str(self.display.HEIGHT - 1)
        self.display.xdotool("mousemove", right, bottom)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        wait_for(condition, what)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=10)


@pytest.fixture(scope="session")
def display(tmp_path_factory) -> Iterator[Display]:
    if shutil.which("Xvfb") is None or shutil.which("xdotool") is None:
        pytest.skip("Xvfb and xdotool are not installed")
    display = Display(tmp_path_factory.mktemp("screen"))
    yield display
    display.close()


@pytest.fixture
def make_session(display, world) -> Iterator[Callable[..., Session]]:
    """Start live_vis.py with a window; further arguments are its own."""
    sessions: list[Session] = []

    def make(*arguments: str, world: Path = world) -> Session:
        sessions.append(Session(display, world, *arguments))
        return sessions[-1]

    yield make
    for session in sessions:
        session.end()


@pytest.fixture(scope="module")
def shared_session(display, world) -> Iterator[Session]:
    """One window for many tests, each of which leaves it as it found it."""
    session = Session(display, world)
    yield session
    session.end()
