"""The window in a real browser, against what a script of the same keys and clicks makes."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import settings as settings_file
from caffevis.app import CaffeVisApp
from caffevis.live import ascents
from live_vis import for_script, make_inputs, make_loop
from optimize.params import preset_values
from tests.browser import Browser, find_chromium
from tests.e2e.conftest import PANES, wait_for
from toolbox.app.core import CORE_BINDINGS
from toolbox.app.protocol import load_apps, picture_aspect
from toolbox.input.viewers import DEVICE, FromViewers
from toolbox.input.wanted import FILES, VIEWER
from toolbox.pictures.image_file import write_image
from toolbox.run.drive import run_live, run_script, settle
from toolbox.run.loop import Loop, still_clock
from toolbox.serve.door import parse_address
from toolbox.serve.hall import Hall
from toolbox.serve.limits import Log
from toolbox.serve.messages import write_frame
from toolbox.serve.picture import JPEG, PNG, Frame, Part, encode
from toolbox.serve.regions import Region
from toolbox.serve.server import Rules, Server
from toolbox.serve.window import ServedWindow
from toolbox.window.pointer import CLICK, RIGHT_CLICK, WHEEL_DOWN, WHEEL_UP, MouseEvent

TOKEN = "a-token-for-tests"
CANVAS = "document.querySelector('#window')"
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
# What a script of every key leaves out: q ends the loop, c has tests of its own, p and 6 write
# files, and the second of two loops would find the first one's.
LEFT_OUT = {"quit", "toggle_input_mode", "save_picture", "keep_images"}
# What would hide what the keys behind it do.
UNDONE = {"help_mode": ["h"], "debug_level": ["5", "5"], "freeze_cam": ["f"], "stretch_mode": ["0"]}


class Stage:
    """A loop that browsers show, driven in a thread, and one of the same driven by a script."""

    def __init__(self, world: Path, scale: float | None = None) -> None:
        self.settings = for_script(settings_file.load(world / "settings.py"))
        self.from_viewers = FromViewers()
        self.log: list[str] = []
        hall = Hall(self.from_viewers, Log(self.log.append))
        self.server = Server(Rules(parse_address("127.0.0.1:0"), TOKEN), hall)
        classes = load_apps(self.settings)
        apps = [make(self.settings, still_clock) for make in classes]
        inputs = make_inputs(self.settings, [], False, picture_aspect(apps), self.from_viewers)
        self.app = apps[0]
        self.loop = Loop(self.settings, apps, inputs, still_clock)
        self.script = make_loop(self.settings, [], False, classes)
        layout, rows = self.loop.screen.layout, self.loop.bindings
        self.window = ServedWindow(self.loop.title, layout, scale, rows, hall, self.server)
        self.pressed = 0
        self._press, self._point = self.loop.press, self.loop.point
        self.loop.press, self.loop.point = self._count(self._press), self._count(self._point)
        self._thread = threading.Thread(target=run_live, args=(self.loop, self.window))
        self._thread.start()
        settle(self.script, 60)

    def _count(self, do):
        def counted(event) -> None:
            do(event)
            self.pressed += 1

        return counted

    def rest(self, presses: int) -> None:
        """Wait until so many presses have arrived and are answered."""
        said = f"{presses} presses, {self.pressed} came; {self.log}"
        wait_for(lambda: self.pressed >= presses, said)
        wait_for(self.loop.settled, "the answer")

    def close(self) -> None:
        self.window.close()
        self._thread.join(20)
        self.loop.close()
        self.script.close()
        assert self.server.close()


@pytest.fixture(scope="module")
def stage(world):
    def short(preset: int) -> dict[str, object]:
        return {**preset_values(preset), "max_iter": 10}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ascents, "preset_values", short)  # their end is what is compared
        stage = Stage(world)
        yield stage
        stage.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium (Debian's package chromium)")
    browser = Browser(program, tmp_path_factory.mktemp("profile"), *FAKE_CAMERA)
    yield browser
    browser.close()


@pytest.fixture
def page(chromium, stage):
    """The page, open and steering; the state is as at the start."""
    chromium.look(1440, 900)
    chromium.open(stage.server.url)
    chromium.until(f"{CANVAS}.width > 1 && document.querySelector('#ask').hidden")
    run_script(stage.script, ["esc"])
    press(chromium, stage, "esc")
    assert shows(chromium, stage.script.picture())
    yield chromium
    assert chromium.errors == []
    chromium.open("about:blank#left")
    wait_for(lambda: stage.server._hall.count == 0, "the viewer's leaving")


def press(page: Browser, stage: Stage, *keys: str) -> None:
    """Press keys in the browser, each when the one before is answered."""
    for key in keys:
        before = stage.pressed
        page.press(key)
        stage.rest(before + 1)


def canvas(page: Browser) -> np.ndarray:
    """Read the picture in the page, pixel for pixel."""
    data = page.value(f"{CANVAS}.toDataURL('image/png')").partition(",")[2]
    pixels = np.frombuffer(base64.b64decode(data), np.uint8)
    return cv2.imdecode(pixels, cv2.IMREAD_COLOR)[:, :, ::-1]


def shows(page: Browser, picture: np.ndarray, seconds: float = 20) -> bool:
    """Wait until the page shows a picture, without loss."""
    end = time.monotonic() + seconds
    while not np.array_equal(canvas(page), picture):
        if time.monotonic() > end:
            wrong = canvas(page) != picture
            print([name for name, place in PANES.items() if wrong[place].any()])
            return False
        time.sleep(0.05)
    return True


def spot(page: Browser, x: int, y: int) -> tuple[float, float]:
    """Say where a pixel of the picture is in the page."""
    box = json.loads(page.value(f"JSON.stringify({CANVAS}.getBoundingClientRect())"))
    width, height = page.value(f"[{CANVAS}.width, {CANVAS}.height]")
    return box["x"] + (x + 0.5) * box["width"] / width, box["y"] + (y + 0.5) * box[
        "height"
    ] / height


def test_every_key_shows_what_a_script_of_the_same_keys_makes(page, stage):
    keys = ["o", "down", "right"]
    for row in (*CORE_BINDINGS, *CaffeVisApp.bindings):
        if row.tag not in LEFT_OUT:
            keys += row.keys
            keys += ["o", "n", "enter"] if row.takes_text else []
            keys += UNDONE.get(row.tag, [])
    keys += ["3", "enter", "esc"]
    assert {"J", "U", "T", "pgdn", "3", "h", "left"} <= set(keys)
    for begin in range(0, len(keys), 9):
        part = keys[begin : begin + 9]
        press(page, stage, *part)
        assert shows(page, run_script(stage.script, part)), f"after {part}"
    for key in ("h", "5", "h", "5", "5"):
        press(page, stage, key)
        assert shows(page, run_script(stage.script, [key]))
    assert all(stage.server.url.rsplit("/", 2)[0] in each for each in page.requested
               if not each.startswith(("data:", "blob:")))  # fmt: skip


def test_the_mouse_does_what_it_does_in_the_window(page, stage):
    def both(kind: str, x: int, y: int, then) -> None:
        before = stage.pressed
        then(*spot(page, x, y))
        stage.rest(before + 1)
        stage.script.point(MouseEvent(kind, x, y))
        settle(stage.script, 60)
        assert shows(page, stage.script.picture()), (kind, x, y)

    def click(button: str):
        return lambda x, y: [
            page.mouse(kind, x, y, button=button, clickCount=1)
            for kind in ("mousePressed", "mouseReleased")
        ]

    def wheel(step: int):
        return lambda x, y: page.mouse("mouseWheel", x, y, deltaX=0, deltaY=step)

    for x, y in ((300, 16), (420, 200)):  # a layer's name, a unit
        start = stage.script.picture().copy()
        both(CLICK, x, y, click("left"))
        assert not np.array_equal(start, stage.script.picture())
    both(RIGHT_CLICK, 500, 300, click("right"))
    both(WHEEL_UP, 500, 300, wheel(-120))
    both(WHEEL_DOWN, 500, 300, wheel(120))
    # Beside the picture there is nothing to point at.
    before = stage.pressed
    click("left")(3, 895)
    press(page, stage, "z")
    assert stage.pressed == before + 1


def test_fingers_tap_and_pinch(page, stage):
    def both(kind: str, x: int, y: int, *touches) -> None:
        before = stage.pressed
        for name, points in touches:
            page.touch(name, *[spot(page, *point) for point in points])
        stage.rest(before + 1)
        stage.script.point(MouseEvent(kind, x, y))
        settle(stage.script, 60)
        assert shows(page, stage.script.picture()), (kind, x, y)

    page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    try:
        both(CLICK, 300, 16, ("touchStart", [(300, 16)]), ("touchEnd", []))
        both(CLICK, 420, 200, ("touchStart", [(420, 200)]), ("touchEnd", []))
        near, far = [(480, 300), (520, 300)], [(450, 300), (550, 300)]
        both(WHEEL_UP, 500, 300, ("touchStart", near), ("touchMove", far), ("touchEnd", []))
        both(WHEEL_DOWN, 500, 300, ("touchStart", far), ("touchMove", near), ("touchEnd", []))
    finally:
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_the_mouse_and_a_finger_paint(page, stage):
    way = [(40, 40), (60, 90), (120, 140)]

    def strokes() -> tuple:
        return stage.app.state.causes.disturbance.strokes

    def paints(down, move, up) -> None:
        for step, place in enumerate(way):
            (down if step == 0 else move)(*spot(page, *place))
            time.sleep(0.1)  # oftener than that, moves are left out
        up(*spot(page, *way[-1]))

    for _ in range(10):  # the last kind: black to draw on
        press(page, stage, "'")
    left = {"button": "left", "clickCount": 1}
    paints(
        lambda x, y: page.mouse("mousePressed", x, y, **left),
        lambda x, y: page.mouse("mouseMoved", x, y, button="left", buttons=1),
        lambda x, y: page.mouse("mouseReleased", x, y, **left),
    )
    wait_for(lambda: len(strokes()) == 1 and len(strokes()[0]) == 3, "a line of three points")
    for (down, across), (x, y) in zip(strokes()[0], way, strict=True):
        assert (across, down) == pytest.approx((x / 200, y / 200), abs=0.02)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    try:
        paints(
            lambda x, y: page.touch("touchStart", (x, y)),
            lambda x, y: page.touch("touchMove", (x, y)),
            lambda x, y: page.touch("touchEnd"),
        )
        wait_for(lambda: len(strokes()) == 2 and len(strokes()[1]) == 3, "the finger's line")
    finally:
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)
    press(page, stage, "esc")


def test_keys_of_the_browser_are_left_to_it(page, stage):
    page.value("globalThis.kept = []; addEventListener('keydown', (event) =>"
               " kept.push([event.key, event.defaultPrevented])); 0")  # fmt: skip
    before = stage.pressed
    control, alt, command = 2, 1, 4
    for key, modifiers in (("o", control), ("l", alt), ("r", command), ("F5", 0), ("F12", 0),
                           ("Tab", 0), ("Shift", 8)):  # fmt: skip
        page.call("Input.dispatchKeyEvent", type="rawKeyDown", key=key, modifiers=modifiers)
    page.press("o")
    kept = page.value("kept")
    assert [prevented for _, prevented in kept] == [False] * 7 + [True]
    stage.rest(before + 1)
    assert stage.pressed == before + 1


@pytest.mark.parametrize(
    ("before", "blobs"),
    [
        ("0", 0),
        ("delete globalThis.ImageDecoder", 2),  # of pages that are not secure
        ("VideoFrame.prototype.allocationSize = () => 6", 2),  # of browsers that do not convert
    ],
    ids=["decoder", "insecure", "older"],
)
def test_a_rough_picture_has_the_colours_that_were_encoded(page, before, blobs):
    rows, columns = np.mgrid[:91, :121]
    picture = np.stack([2 * columns, 255 - 2 * rows, 80 + rows + columns // 2], 2).astype(np.uint8)
    regions = (Region(0, 0, 91, 60), Region(0, 60, 30, 61), Region(30, 60, 61, 61))
    kinds = (JPEG, JPEG, PNG)
    messages = []
    for pixels in (255 - picture, picture):  # the second one in the memory of the first
        parts = tuple(
            Part(region, kind, encode(region.of(pixels), kind))
            for region, kind in zip(regions, kinds, strict=True)
        )
        messages.append(base64.b64encode(write_frame(7, Frame(121, 91, parts))).decode())
    page.value(
        f"(async () => {{ {before}; globalThis.blobs = 0; const make = createImageBitmap;"
        " globalThis.createImageBitmap = (blob) => { blobs += 1; return make(blob); };"
        " const { Picture } = await import('./picture.js?anew');"
        " const canvas = document.createElement('canvas');"
        " globalThis.picture = new Picture(canvas, document.createElement('div'),"
        "   document.createElement('div'), () => {});"
        f" globalThis.number = 0; for (const text of {json.dumps(messages)}) {{"
        "   const data = Uint8Array.from(atob(text), (each) => each.charCodeAt()).buffer;"
        "   number += (await picture.take(data)).number; }"
        " document.querySelector('#window').replaceWith(canvas); canvas.id = 'window'; })()"
    )
    assert page.value("[number, blobs]") == [14, 2 * (blobs + 1)]  # with the PNG
    shown = canvas(page).astype(int)
    for part in parts:
        pixels = cv2.imdecode(np.frombuffer(part.data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert np.abs(part.region.of(shown) - pixels).max() <= (4 if part.kind == JPEG else 0)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text/plain", "A reason; trying again …"),
        ("text/html", "The connection is gone; trying again …"),  # of a proxy
    ],
)
def test_a_page_that_is_cut_off_says_why_in_a_line_and_comes_back(page, stage, kind, said):
    answer = (
        f"new Response('A reason.', {{ status: 502, headers: {{ 'Content-Type': '{kind}' }} }})"
    )
    page.value(f"globalThis.fetch = () => Promise.resolve({answer}); 0")
    wire = stage.server._wire
    for connection in list(wire.connections):
        wire.loop.call_soon_threadsafe(connection.transport.abort)
    page.until(f"document.querySelector('#note').textContent === {json.dumps(said)}")
    page.until("document.querySelector('#note').textContent === ''")
    page.errors.clear()


def test_the_fake_camera_reaches_the_network_and_is_let_go(page, stage):
    wait_for(lambda: VIEWER in stage.loop.state.modes, "the browser's camera in the round")
    press(page, stage, "c")
    seen: list = []

    def frames() -> int:
        frame = stage.app.shown_frame()
        if frame is not None and frame.name == DEVICE and frame not in seen:
            seen.append(frame)
        return len(seen)

    wait_for(lambda: frames() >= 5, "five frames of the camera")
    # Chromium's fake camera: a green ground on which something turns.
    middle = seen[-1].image[60:-60, 60:-60].reshape(-1, 3).mean(0)
    assert middle[1] > 60 > middle[0]
    assert not np.array_equal(seen[0].image, seen[-1].image)
    press(page, stage, "f")
    page.press("c")
    wait_for(lambda: stage.loop.state.mode != VIEWER, "the next source")
    page.until("navigator.mediaDevices.enumerateDevices().then(() => true)")
    wait_for(lambda: stage.loop.state.mode == FILES, "the files: there is no camera here")
    press(page, stage, "f", "e", "w")


def test_a_camera_that_is_refused_is_said(page, stage):
    page.value("navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')); 0")
    before = stage.loop.state.mode
    page.press("c")
    wait_for(lambda: "the browser gives no camera" in stage.loop.inputs.message, "the reason")
    assert stage.loop.state.mode == before == FILES
    press(page, stage, "e", "w")


def test_pictures_dropped_on_the_page_are_shown(page, stage, tmp_path):
    photo = np.zeros((90, 120, 3), np.uint8)
    photo[:, :, 2] = 200
    photo[:, 60:, 0] = 180
    write_image(tmp_path / "my <photo>.png", photo)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    node = page.call("DOM.getDocument")["root"]["nodeId"]
    field = page.call("DOM.querySelector", nodeId=node, selector="#files")["nodeId"]

    def choose(*names: str) -> None:
        files = [str(tmp_path / name) for name in names]
        page.call("DOM.setFileInputFiles", nodeId=field, files=files)

    choose("broken.png", "my <photo>.png")
    wait_for(lambda: stage.app.shown_frame().name == "my _photo_.png", "the photo")
    assert np.array_equal(stage.app.shown_frame().image, photo[:, 15:105])
    choose("broken.png")
    page.until("document.querySelector('#note').textContent.startsWith('broken.png cannot be')")
    names = set()
    for _ in range(4):
        press(page, stage, "e")
        names.add(stage.app.shown_frame().name)
    assert names == {"a first.png", "b.png", "c.png", "my _photo_.png"}
    # By drag and drop, and from the clipboard.
    for kind, data in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.value(
            "(async () => { const canvas = document.createElement('canvas');"
            " canvas.width = canvas.height = 8; const data = new DataTransfer();"
            " const blob = await new Promise((done) => canvas.toBlob(done));"
            f" data.items.add(new File([blob], '{kind}.png', {{ type: 'image/png' }}));"
            f" const event = new Event('{kind}', {{ bubbles: true }}); event.{data} = data;"
            " document.dispatchEvent(event); })()"
        )
        wait_for(lambda kind=kind: stage.app.shown_frame().name == f"{kind}.png", f"the {kind}")
    stage.from_viewers.pictures._images.clear()
    press(page, stage, "e")
    run_script(stage.script, ["e"])
    while stage.app.shown_frame().name != "a first.png":
        press(page, stage, "e")
    while stage.script._shown_frame().name != "a first.png":
        run_script(stage.script, ["e"])


def test_who_watches_is_told_and_takes_over(page, stage, tmp_path_factory):
    other = Browser(find_chromium(), tmp_path_factory.mktemp("other"))
    try:
        other.open(stage.server.url)
        other.until(f"{CANVAS}.width > 1 && !document.querySelector('#ask').hidden")
        assert shows(other, stage.script.picture())
        before = stage.pressed
        other.press("o")
        other.click("#ask")
        page.until("!document.querySelector('#give').hidden")
        page.click("#give")
        other.until("document.querySelector('#ask').hidden")
        press(other, stage, "o")
        assert stage.pressed == before + 1
        picture = run_script(stage.script, ["o"])
        assert shows(other, picture)
        assert shows(page, picture)
        assert other.errors == []
    finally:
        other.close()
    page.until("document.querySelector('#ask').hidden")


def test_the_list_of_keys_presses_them(page, stage):
    page.click("#keys-open")
    rows = page.value("[...document.querySelectorAll('#keys .row span')].map((e) => e.textContent)")
    assert rows == [row.help for row in stage.loop.bindings]
    number = [row.tag for row in stage.loop.bindings].index("sel_layer_right")
    before = stage.pressed
    page.value(f"document.querySelectorAll('#keys button')[{number}].click()")
    stage.rest(before + 1)
    assert shows(page, run_script(stage.script, ["o"]))
    page.click("#keys-open")


def test_on_an_upright_phone_the_columns_stand_below_each_other(page, stage):
    page.look(390, 844, phone=True)
    try:
        page.until("document.querySelectorAll('#strips canvas').length >= 3")
        wide = page.value("document.documentElement.scrollWidth")
        assert wide <= 390
        strip = "document.querySelector('#strips canvas')"
        box = json.loads(page.value(f"JSON.stringify({strip}.getBoundingClientRect())"))
        before = stage.pressed
        x = box["x"] + 300 / 800 * box["width"]  # of the layers' column, which begins at x = 200
        y = box["y"] + 300 / 600 * box["height"]
        page.mouse("mousePressed", x, y, button="left", clickCount=1)
        stage.rest(before + 1)
        expected = MouseEvent(CLICK, 500, 300)
        stage.script.point(expected)
        settle(stage.script, 60)
        page.look(1440, 900)
        assert shows(page, stage.script.picture())
        page.look(390, 844, phone=True)
        page.until("!document.querySelector('#strips').hidden")
        page.press("h")  # the list takes the help's place
        page.until("!document.querySelector('#keys').hidden")
        page.press("h")
        assert stage.pressed == before + 1
    finally:
        page.look(1440, 900)


def test_the_window_is_drawn_at_the_browsers_size(chromium, world):
    stage = Stage(world, scale=1.0)
    try:
        for width, height, density in ((1440, 900, 1), (1000, 700, 2)):
            chromium.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                          deviceScaleFactor=density, mobile=False)  # fmt: skip
            chromium.open(stage.server.url)
            room = f"(() => {{ const room = document.querySelector('#room'); return {density} *"
            room += " Math.min(room.clientWidth / 1200, room.clientHeight / 630); })()"
            chromium.until(f"Math.abs({CANVAS}.width - Math.floor(100 * {room}) * 12) <= 1")
            shown = chromium.value(f"{CANVAS}.getBoundingClientRect().width") * density
            assert 0 <= shown - chromium.value(f"{CANVAS}.width") < 20
            wait_for(stage.loop.settled, "the pictures")
            assert shows(chromium, stage.loop.picture())
    finally:
        stage.close()
        chromium.call("Emulation.clearDeviceMetricsOverride")
