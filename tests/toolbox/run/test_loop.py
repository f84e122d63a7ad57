"""The loop with a small app of its own: keys, scripts, overlays, several apps."""

from __future__ import annotations

import time

import numpy as np
import pytest

from settings import TABLE
from toolbox.app.base_app import BaseApp
from toolbox.app.bindings import Binding, BindingError
from toolbox.drawing.panes import PaneError
from toolbox.drawing.screen import Drawing
from toolbox.input.files import FileQuery
from toolbox.input.sources import Inputs
from toolbox.pictures.image_file import ImageError, read_image, write_image
from toolbox.run.drive import KeyQueue, LoopError, run_live, run_script, settle
from toolbox.run.loop import Loop, still_clock
from toolbox.run.tour import Stop, run_tour
from toolbox.settings import config
from toolbox.window import highgui
from toolbox.window.pointer import CLICK, DRAG, MOVE, WHEEL_UP, MouseEvent, Pointer
from toolbox.workers.worker import Worker


class SmallApp(BaseApp):
    """Shows in its pane the frame's brightness plus the number of `x` presses."""

    heading = "Small"
    bindings = (Binding(("x",), "count", "Count", lambda n: n + 1),)
    pane_names = ("small",)

    def __init__(self, delay: float = 0.0) -> None:
        self.count, self.frame, self.frames, self.done = 0, None, 0, None
        self.pointed = None
        self.delay = delay

    def start(self) -> None:
        self.worker = Worker(self.work, "small app")

    def work(self, request):
        time.sleep(self.delay)
        return int(request[0].image.mean()) + request[1]

    def handle(self, row) -> None:
        self.count = row.action(self.count)

    def point(self, pointer) -> None:
        self.pointed = pointer

    def set_frame(self, frame) -> None:
        self.frame = frame

    def update(self) -> None:
        for outcome in self.worker.outcomes():
            self.done = outcome
            self.frames += 1
        wanted = (self.frame, self.count)
        if self.frame is not None and not self.worker.busy and not self.answered(wanted):
            self.worker.submit(wanted)

    def answered(self, wanted) -> bool:
        return self.done is not None and self.done.request == wanted

    def wait(self, seconds: float) -> None:
        self.worker.wait(seconds)

    def settled(self) -> bool:
        return self.frame is None or self.answered((self.frame, self.count))

    def shown_frame(self):
        return self.done.request[0] if self.done else None

    def title(self) -> str:
        return "Small one"

    def status(self) -> str:
        return f"small {self.count}"

    def message(self) -> str:
        return ""

    def timings(self):
        return ()

    def frames_done(self) -> int:
        return self.frames

    def drawings(self):
        def draw(canvas, level) -> None:
            canvas[:] = level

        return [Drawing("small", self.done.value if self.done else 0, draw)]

    def close(self) -> bool:
        return self.worker.close()


PANES = (("input", (0, 0, 20, 20)), ("small", (0, 20, 20, 20)),
         ("caffevis_status", (20, 0, 30, 600)))  # fmt: skip
SETTINGS = config.load(TABLE, None).replaced(
    pane_headings=False, caffevis_start=None, window_panes=PANES
)


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 3):
        write_image(tmp_path / f"{number}.png", np.full((8, 8, 3), 10 * number, np.uint8))
    return tmp_path


@pytest.fixture
def make_loop(folder):
    loops = []

    def make(settings=SETTINGS, apps=None, clock=still_clock, **query) -> Loop:
        query = query or {"folder": str(folder)}
        inputs = Inputs(FileQuery(**query), None)
        loops.append(Loop(settings, apps or [SmallApp()], inputs, clock))
        return loops[-1]

    yield make
    closed = [loop.close() for loop in loops]
    assert all(closed)


def levels(picture: np.ndarray) -> tuple[int, int]:
    return int(picture[10, 10, 0]), int(picture[10, 30, 0])


def test_a_script_sees_each_picture_settled(make_loop):
    loop = make_loop(apps=[SmallApp(delay=0.02)])
    assert levels(run_script(loop, [])) == (10, 10)
    assert levels(run_script(loop, ["e"])) == (20, 20)
    assert levels(run_script(loop, ["x", "x", "pgdn"])) == (30, 32)
    assert levels(run_script(loop, ["e", "w"])) == (30, 32)


def test_the_same_script_gives_the_same_picture(make_loop):
    keys = ["x", "e", "5", "5", "h"]
    pictures = [run_script(make_loop(), keys).copy() for _ in range(2)]
    assert np.array_equal(*pictures)


def test_quit_ends_a_script(make_loop):
    loop = make_loop()
    run_script(loop, ["q", "x"])
    assert loop.state.quit
    assert loop.apps[0].count == 0


def test_a_script_that_never_settles_is_one_sentence(make_loop):
    with pytest.raises(LoopError, match=r"had not settled after 0\.1 seconds"):
        run_script(make_loop(apps=[SmallApp(delay=0.5)]), [], seconds=0.1)


def test_without_files_there_is_a_message_and_no_frame(make_loop, tmp_path):
    loop = make_loop(folder=str(tmp_path / "none"))
    assert levels(run_script(loop, [])) == (51, 0)
    assert "cannot be read" in loop.inputs.message


def test_help_is_drawn_over_a_copy_and_lists_every_row(make_loop, monkeypatch):
    from toolbox.app import core_panes

    drawn = []
    real = core_panes.draw_text
    monkeypatch.setattr(core_panes, "draw_text", lambda *a: drawn.append(a[1]) or real(*a))
    loop = make_loop(
        SETTINGS.replaced(window_panes=(*PANES, ("caffevis_buttons", (50, 0, 500, 1400))))
    )
    plain = run_script(loop, []).copy()
    helped = run_script(loop, ["h"])
    assert not np.array_equal(plain, helped)
    for row in loop.bindings:
        assert row.label() in drawn
        assert row.help in drawn
    assert {"Window", "Small"} <= set(drawn)
    assert np.array_equal(run_script(loop, ["h"]), plain)


def test_debug_shows_timings_then_panes(make_loop):
    loop = make_loop()
    text = " | ".join(loop._status_parts())
    assert "debug" not in text
    run_script(loop, ["5"])
    assert "debug 1: draw 0.0 ms" in " | ".join(loop._status_parts())
    framed = run_script(loop, ["5"])
    assert framed[0, 5].tolist() == [255, 200, 60]
    assert run_script(loop, ["5"])[0, 5].tolist() == [10, 10, 10]


def test_keys_go_to_the_app_that_has_them(make_loop, tmp_path):
    class Other(SmallApp):
        heading = "Other"
        bindings = (Binding(("y",), "other", "Other", lambda n: n + 10),)
        pane_names = ()

        def drawings(self):
            return []

    settings = SETTINGS.replaced(saved_pictures_dir=str(tmp_path / "saved"))
    loop = make_loop(settings, apps=[SmallApp(), Other()])
    run_script(loop, ["x", "y", "y", "p"])
    assert [app.count for app in loop.apps] == [1, 20]


def test_apps_with_the_same_key_are_an_error(make_loop):
    with pytest.raises(BindingError, match="count is declared twice"):
        make_loop(apps=[SmallApp(), SmallApp()])


def test_apps_with_the_same_pane_are_an_error(make_loop):
    class Other(SmallApp):
        bindings = ()

    with pytest.raises(PaneError, match="'small' is drawn by two apps"):
        make_loop(apps=[SmallApp(), Other()])


def test_frame_rate_is_shown_only_while_frames_come(make_loop, monkeypatch):
    now = [0.0]
    loop = make_loop(clock=lambda: now[0])
    app = loop.apps[0]
    assert not any(part.startswith("FPS") for part in loop._status_parts())
    for _ in range(11):
        now[0] += 0.1
        app.frames += 1
        loop._count_frames()
    assert not any(part.startswith("FPS") for part in loop._status_parts())
    monkeypatch.setattr(Inputs, "playing", True)
    assert "FPS: 10.0" in list(loop._status_parts())


class FakeWindow:
    scale: float | None = None

    """Gives key codes as pressed, one list a poll, and keeps what it is shown."""

    def __init__(self, *polls: list[int | MouseEvent], polls_open: int = 400) -> None:
        self.polls, self.left, self.shown = list(polls), polls_open, []

    def poll(self, milliseconds: int) -> list[int | MouseEvent]:
        time.sleep(0.001)
        self.left -= 1
        return self.polls.pop(0) if self.polls else []

    def wanted_scale(self) -> float | None:
        return self.scale

    def is_open(self) -> bool:
        return self.left > 0

    def show(self, picture) -> None:
        self.shown.append(picture.copy())


def test_live_presses_every_key_in_order_and_quits(make_loop):
    loop = make_loop(clock=time.perf_counter)
    fake = FakeWindow([], [ord("x"), 0xFFE1, ord("x")], [0xFF56], [ord("x")], [], [ord("q")])
    run_live(loop, fake)
    assert loop.state.quit
    assert loop.apps[0].count == 3
    assert loop.state.position == 1
    assert fake.left > 0


def test_live_ends_when_the_window_is_closed(make_loop):
    loop = make_loop(clock=time.perf_counter)
    fake = FakeWindow(polls_open=200)
    run_live(loop, fake)
    assert not loop.state.quit
    assert levels(fake.shown[-1]) == (10, 10)


def test_live_shows_a_picture_only_when_it_changed(make_loop):
    loop = make_loop(clock=time.perf_counter)
    fake = FakeWindow(polls_open=400)
    run_live(loop, fake)
    assert len(fake.shown) < 10


def test_keys_are_polled_while_panes_are_drawn():
    keys = KeyQueue(FakeWindow([ord("a")], [ord("b")]))
    keys.poll(1)
    keys.poll_if_due()
    time.sleep(0.01)
    keys.poll_if_due()
    assert list(keys.take()) == ["a", "b"]
    assert list(keys.take()) == []


def test_a_tour_writes_numbered_pictures(make_loop, tmp_path):
    stops = [Stop("first", "", "one"), Stop("second", "x static_file_increment", "two")]
    written = list(run_tour(make_loop(), stops, tmp_path / "tour" / "here"))
    assert [(path.name, caption) for path, caption in written] == [
        ("01_first.png", "one"),
        ("02_second.png", "two"),
    ]
    assert levels(read_image(written[1][0])) == (20, 21)


def test_a_tour_that_cannot_be_written_is_one_sentence(make_loop, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="cannot be made"):
        list(run_tour(make_loop(), [Stop("a", "", "b")], tmp_path / "file" / "tour"))


def test_without_a_display_there_is_no_window_and_no_abort(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(highgui.NoDisplayError, match="there is no display"):
        highgui.Window("test", (10, 10))


def test_a_display_that_cannot_be_opened_is_survived(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    with pytest.raises(highgui.NoDisplayError, match="the display :987 cannot be opened"):
        highgui.Window("test", (10, 10))


def test_the_mouse_reaches_the_app_whose_pane_it_is_in(make_loop):
    class Other(SmallApp):
        heading = "Other"
        bindings = ()
        pane_names = ("other",)

        def drawings(self):
            return []

    panes = (*PANES, ("other", (60, 100, 30, 50)))
    loop = make_loop(SETTINGS.replaced(window_panes=panes), [SmallApp(), Other()])
    small, other = loop.apps
    loop.point(MouseEvent(CLICK, 39, 19))
    assert small.pointed == Pointer(CLICK, "small", 19, 19, (20, 20))
    loop.point(MouseEvent(WHEEL_UP, 100, 61))
    assert other.pointed == Pointer(WHEEL_UP, "other", 1, 0, (30, 50))
    small.pointed = other.pointed = None
    for x, y in ((19, 19), (40, 19), (39, 20), (99, 61), (-1, 5), (5000, 5000)):
        loop.point(MouseEvent(CLICK, x, y))
    assert small.pointed is other.pointed is None


def test_the_windows_own_panes_and_moves_are_for_apps_that_watch_them(make_loop):
    class Watching(SmallApp):
        pointed_panes = ("input",)

    class Plain(SmallApp):
        heading, bindings, pane_names = "Plain", (), ("other",)

    watching, plain = Watching(), Plain()
    panes = (*PANES, ("other", (60, 100, 30, 50)))
    loop = make_loop(SETTINGS.replaced(window_panes=panes), apps=[watching, plain])
    for kind in (MOVE, DRAG, CLICK):
        loop.point(MouseEvent(kind, 5, 7))
        assert watching.pointed == Pointer(kind, "input", 7, 5, (20, 20))
        watching.pointed = None
    for x, y in ((39, 19), (100, 61)):
        loop.point(MouseEvent(MOVE, x, y))
    assert watching.pointed is plain.pointed is None


def test_behind_the_help_nothing_is_clicked_and_it_stays(make_loop):
    loop = make_loop()
    loop.press("h")
    loop.point(MouseEvent(CLICK, 30, 10))
    assert loop.state.help
    assert loop.apps[0].pointed is None
    loop.press("h")
    loop.point(MouseEvent(CLICK, 30, 10))
    assert loop.apps[0].pointed is not None


def test_live_keeps_keys_and_mouse_in_their_order(make_loop):
    loop = make_loop(clock=time.perf_counter)
    app, seen = loop.apps[0], []
    app.point = lambda pointer: seen.append((app.count, pointer.column))
    click = [MouseEvent(CLICK, 20 + column, 10) for column in range(4)]
    x = ord("x")
    run_live(loop, FakeWindow([click[0], x, click[1]], [x, x, click[2]], [click[3], ord("q")]))
    assert seen == [(0, 0), (1, 1), (3, 2), (3, 3)]


def test_the_title_joins_what_the_apps_say(make_loop):
    class Silent(SmallApp):
        heading, bindings, pane_names = "Other", (), ()

        def title(self) -> str:
            return ""

    loop = make_loop(apps=[SmallApp(), Silent()])
    assert loop.title == "Deep Visualization Toolbox | Small one"


def test_p_saves_what_is_shown_and_says_so_until_the_next_key(make_loop, tmp_path):
    saved = tmp_path / "saved"
    loop = make_loop(SETTINGS.replaced(saved_pictures_dir=str(saved)))
    plain = run_script(loop, ["x"]).copy()
    noted = run_script(loop, ["p"]).copy()
    assert levels(noted) == levels(plain)
    assert not np.array_equal(noted[20:], plain[20:])
    assert np.array_equal(run_script(loop, ["5", "5", "5"]), plain)
    helped = run_script(loop, ["h"]).copy()
    run_script(loop, ["p", "h"])
    first, second = sorted(saved.iterdir())
    assert np.array_equal(read_image(first), plain)
    assert np.array_equal(read_image(second), helped)


def test_p_where_nothing_can_be_saved_is_a_message(make_loop, tmp_path):
    (tmp_path / "file").touch()
    loop = make_loop(SETTINGS.replaced(saved_pictures_dir=str(tmp_path / "file")))
    run_script(loop, ["p"])
    assert any(part.startswith("not saved: ") for part in loop._status_parts())


def test_p_and_q_at_once_save_the_picture(make_loop, tmp_path):
    saved = tmp_path / "saved"
    loop = make_loop(SETTINGS.replaced(saved_pictures_dir=str(saved)))
    run_live(loop, FakeWindow([ord("p"), ord("p"), ord("q")]))
    assert loop.close()
    assert len(list(saved.iterdir())) == 2


class Reel:
    """A film in memory."""

    def __init__(self) -> None:
        self.pictures, self.message = [], ""

    def show(self, picture) -> None:
        self.pictures.append(picture.copy())


def test_a_scripted_film_sees_the_start_and_each_key_settled(make_loop):
    loop = make_loop(apps=[SmallApp(delay=0.02)])
    loop.film = Reel()
    run_script(loop, ["e", "x", "q", "e"])
    assert [levels(picture) for picture in loop.film.pictures] == [(10, 10), (20, 20), (20, 21)]


def test_a_live_film_sees_what_the_window_shows_and_its_failure_is_in_the_status(make_loop):
    loop, screen = make_loop(), FakeWindow([ord("x")], [ord("h")], polls_open=30)
    loop.film = Reel()
    run_live(loop, screen)
    assert len(screen.shown) >= 3
    assert all(map(np.array_equal, screen.shown, loop.film.pictures))
    assert len(screen.shown) == len(loop.film.pictures)
    loop.film.message = "recording has stopped"
    assert "recording has stopped" in list(loop._status_parts())


# ------------------------------------------------------------------ messages, notes, text


def test_a_message_of_something_that_happened_goes_after_some_seconds(make_loop, tmp_path):
    clock = [100.0]
    saved = SETTINGS.replaced(saved_pictures_dir=str(tmp_path / "saved"))
    loop = make_loop(saved, clock=lambda: clock[0])

    def told() -> bool:
        return any(part.startswith("saved ") for part in loop._status_parts())

    run_script(loop, ["p"])
    assert told()
    clock[0] += 7
    assert told()
    clock[0] += 2
    assert not told()
    run_script(loop, ["p"])  # another one
    assert told()


def test_in_a_script_no_time_passes_and_messages_stay(make_loop, tmp_path):
    loop = make_loop(SETTINGS.replaced(saved_pictures_dir=str(tmp_path / "saved")))
    run_script(loop, ["p"])
    time.sleep(0.1)
    loop.step()
    assert any(part.startswith("saved ") for part in loop._status_parts())


def test_what_an_app_says_of_the_picture_stays(make_loop):
    class Talking(SmallApp):
        def message(self) -> str:
            return "conv1 has no numbers"

    clock = [0.0]
    loop = make_loop(apps=[Talking()], clock=lambda: clock[0])
    loop.step()
    clock[0] += 100
    assert "conv1 has no numbers" in list(loop._status_parts())


def test_notes_are_told_once(make_loop):
    class Noting(SmallApp):
        def notes(self):
            return [f"command {self.count}", "always"]

    loop = make_loop(apps=[Noting()])
    assert loop.news() == ["command 0", "always"]
    assert loop.news() == []
    loop.press("x")
    assert loop.news() == ["command 1"]


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_help_has_all_of_the_notes_and_cuts_off_nothing(make_loop, monkeypatch, scale):
    from toolbox.app import core_panes

    class Noting(SmallApp):
        def notes(self):
            command = f"cd '/a folder/{'b' * 90}' && python -m tool --layers conv --out F"
            return [f"no images of conv; made by:\n  {command}"] * self.count

    drawn = []
    monkeypatch.setattr(core_panes, "draw_text", lambda canvas, *what: drawn.append(what))
    panes = (*PANES, ("caffevis_buttons", (50, 0, 500, 900)))
    app = Noting()
    loop = make_loop(SETTINGS.replaced(window_panes=panes, global_scale=scale), apps=[app])
    run_script(loop, ["h"])
    assert not any(core_panes.NOTES_HEADING in text for text, *_ in drawn)
    app.count = 1
    drawn.clear()
    assert loop.step()  # while the help is open
    size = loop.picture().shape
    words = [text for text, *_ in drawn]
    below = drawn[words.index(core_panes.NOTES_HEADING) :]
    assert below[0][3] > max(y for *_, y in drawn[: -len(below)])
    text = "".join(text for text, *_ in below[1:]).replace(" ", "")
    assert text == app.notes()[0].replace("\n", "").replace(" ", "")
    box = loop.settings.help_pane_loc
    for text, style, x, y in drawn:
        assert 0 < y + style.depth() <= box[2] * size[0]
        assert x + style.width(text) <= box[3] * size[1]


def test_an_app_that_takes_text_gets_keys_before_the_rows_but_not_behind_help(make_loop):
    class Typing(SmallApp):
        text = ""

        def type(self, key: str) -> bool:
            if key == "x":
                self.text += key
            return key == "x"

    app = Typing()
    loop = make_loop(apps=[app])
    for key in ("x", "h", "x", "h", "x"):
        loop.press(key)
    assert (app.text, app.count, loop.state.help) == ("xx", 1, False)


def test_a_script_may_type_any_key_behind_a_row_that_takes_text(make_loop):
    class Typing(SmallApp):
        bindings = (*SmallApp.bindings,
                    Binding(("3",), "find", "Find", lambda n: n, takes_text=True))  # fmt: skip

    rows = make_loop(apps=[Typing()]).bindings
    assert rows.parse_keys("x 3 r _ 5 enter x") == ["x", "3", "r", "_", "5", "enter", "x"]
    assert rows.parse_keys("find % esc x") == ["3", "%", "esc", "x"]
    for words in ("%", "3 % esc %", "3 a enter %"):
        with pytest.raises(BindingError, match="Nothing is bound to the key '%'"):
            rows.parse_keys(words)


def test_the_file_is_the_inputs_heading(make_loop):
    panes = (("input", (0, 0, 200, 200)), ("caffevis_status", (200, 0, 30, 600)))
    plain, headed = (
        run_script(make_loop(SETTINGS.replaced(window_panes=panes, pane_headings=on)), []).copy()
        for on in (False, True)
    )
    changed = np.argwhere((plain != headed).any(axis=2))
    assert changed[:, 0].min() > 150 and changed[:, 0].max() < 200
    assert changed[:, 1].max() < 100


def test_a_window_of_another_size_is_drawn_as_if_it_had_been_so_from_the_start(make_loop):
    class Sized(SmallApp):
        scale = 1.0

        def rescale(self, settings) -> None:
            self.scale = settings.global_scale

    app = Sized()
    loop, fake = make_loop(apps=[app]), FakeWindow([ord("x")], polls_open=60)
    fake.scale = 1.5
    run_live(loop, fake)
    assert (app.scale, loop.settings.global_scale) == (1.5, 1.5)
    settle(loop, 20)
    fresh = make_loop(SETTINGS.replaced(global_scale=1.5), apps=[SmallApp()])
    assert np.array_equal(loop.picture(), run_script(fresh, ["x"]))
    assert loop.screen.layout == fresh.screen.layout


def test_a_film_keeps_the_size_it_began_with(make_loop):
    loop, fake = make_loop(), FakeWindow([ord("x")], polls_open=20)
    fake.scale = 2.0

    class Film:
        message = ""
        shapes: set = set()

        def show(self, picture) -> None:
            self.shapes.add(picture.shape)

    loop.film = Film()
    run_live(loop, fake)
    assert len(Film.shapes) == 1
    assert loop.settings.global_scale == SETTINGS.global_scale
