"""What all viewers share: the picture, who steers, and the way to and from the loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toolbox.input.viewers import FRAME, START, FromViewers, open_sent
from toolbox.pictures.image_file import ImageError
from toolbox.pictures.images import Image
from toolbox.serve.limits import Log
from toolbox.serve.messages import MAX_CAMERA, MAX_NAME, Message, MessageError, event, say
from toolbox.serve.picture import Encoder
from toolbox.serve.sharing import ANSWER_SECONDS, Sharing
from toolbox.serve.viewer import Viewer
from toolbox.window.pointer import MouseEvent

WAITING_AT_MOST = 256  # keys and mouse events that the loop has not taken


class Hall:
    """Between the loop's thread and the server's.

    `show`, `poll` and what the sources ask are called by the loop and its threads, all else by
    the server's thread.

    Parameters
    ----------
    from_viewers : FromViewers
        Takes their cameras and pictures.
    log : Log, optional
        Takes what happened.
    """

    def __init__(self, from_viewers: FromViewers, log: Log | None = None) -> None:
        self.log = log or Log()
        self.encoder: Encoder | None = None
        self._about = ""
        self._size = (0, 0)
        self.wanted: float | None = None
        """How many times larger than at first the window would fit the one who steers."""
        self._from_viewers = from_viewers
        self._camera_of: Viewer | None = None
        self._people: dict[int, Viewer] = {}
        self._sharing = Sharing()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened = asyncio.Event()
        self._events: deque[int | MouseEvent] = deque()
        self._arrived = threading.Condition()
        self._decoder = ThreadPoolExecutor(1, "sent pictures")
        self._tasks: set[asyncio.Task[None]] = set()
        from_viewers.camera.tell = self._ask_camera

    # What the loop's side calls.

    def open(self, encoder: Encoder, about: dict[str, Any]) -> None:
        """Have a window to show: from now on viewers get pictures, and this beside it."""
        self.encoder = encoder
        self._about = say("hello", **about)
        self._later(self._greet)

    def wake(self) -> None:
        """Have all viewers look for something new."""
        self._later(self._wake)

    def show(self, picture: Image) -> None:
        """Take a picture (RGB)."""
        if self.encoder is not None:
            self._size = (picture.shape[1], picture.shape[0])
            self.encoder.put(picture)

    def poll(self, seconds: float) -> list[int | MouseEvent]:
        """Wait for keys and mouse events, and take them."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._events, seconds)
            events = list(self._events)
            self._events.clear()
        return events

    def close(self) -> None:
        """End the threads; viewers are gone."""
        self._decoder.shutdown(wait=False, cancel_futures=True)
        if self.encoder is not None:
            self.encoder.close()

    def _later(self, call: Any, *arguments: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _ask_camera(self, what: str) -> None:
        self._later(self._tell_camera, what)

    # What the server's side calls.

    def enter(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin in the server's thread."""
        self._loop = loop

    @property
    def count(self) -> int:
        """How many viewers there are."""
        return len(self._people)

    @property
    def people(self) -> tuple[Viewer, ...]:
        """Who is there."""
        return tuple(self._people.values())

    def join(self, viewer: Viewer) -> None:
        """Let a viewer in."""
        self._people[viewer.number] = viewer
        self._sharing.join(viewer.number)
        self.log.say("has joined", viewer.who)
        if self._about:
            self._send(viewer, self._about)
        self._tell_people()

    def leave(self, viewer: Viewer) -> None:
        """Let it go."""
        del self._people[viewer.number]
        self._sharing.leave(viewer.number)
        if self._camera_of is viewer:
            self._camera_of = None
            self._from_viewers.camera.refuse("the browser with the camera has left")
        self.log.say("has left", viewer.who)
        self._tell_people()

    def tick(self) -> None:
        """Do what time brings."""
        if self._sharing.update():
            self._tell_people()

    async def feed(self, viewer: Viewer) -> None:
        """Send a viewer frames, as soon as there is a window."""
        await self._opened.wait()
        if self.encoder is not None:
            await viewer.feed(self.encoder)

    async def handle(self, viewer: Viewer, message: Message) -> None:
        """Do what a viewer says; raises `MessageError`."""
        kind = message.type
        if kind == "shown":
            viewer.confirm(message.whole("number", 2**53))
        elif kind == "browser":
            viewer.has_camera = message.fields.get("camera") is True
            viewer.wanted_scale = message.number("scale", 0.01, 100.0)
            self._tell_people()
        elif kind in ("ask", "give", "keep"):
            getattr(self._sharing, kind)(viewer.number)
            self._tell_people()
        elif kind in ("camera", "allowed", "refused"):
            self._take_camera(viewer, message)
        elif kind in ("key", "mouse"):
            self._take_event(viewer, event(message))
        elif kind == "picture":
            await self._take_picture(viewer, message)
        else:
            raise MessageError("an unknown type")

    def _steers(self, viewer: Viewer) -> bool:
        """Tell whether it steers; who did a moment ago may not know yet that it does no more."""
        return viewer.number == self._sharing.steering

    def _take_event(self, viewer: Viewer, taken: int | MouseEvent) -> None:
        width, height = self._size
        if not self._steers(viewer):
            return
        if isinstance(taken, MouseEvent) and not (taken.x < width and taken.y < height):
            return  # of a picture that was larger
        with self._arrived:
            if len(self._events) < WAITING_AT_MOST:
                self._events.append(taken)
            self._arrived.notify_all()

    def _take_camera(self, viewer: Viewer, message: Message) -> None:
        if viewer is not self._camera_of:
            return  # it was asked to stop a moment ago
        camera = self._from_viewers.camera
        if message.type == "allowed":
            camera.allow()
        elif message.type == "refused":
            camera.refuse("the browser gives no camera: it was not allowed, or there is none")
        elif not 0 < len(message.data) <= MAX_CAMERA:
            raise MessageError("a camera frame too large")
        else:
            camera.put(message.data)

    async def _take_picture(self, viewer: Viewer, message: Message) -> None:
        """Decode a picture beside all else; the next message waits for it."""
        name = message.text("name", MAX_NAME)
        if not self._steers(viewer):
            return
        loop = asyncio.get_running_loop()
        try:
            image = await loop.run_in_executor(self._decoder, open_sent, message.data, name)
        except ImageError as error:
            self._send(viewer, say("note", text=str(error)))
            return
        self._from_viewers.pictures.add(image, name)
        self._send(viewer, say("note", text=""))

    def _greet(self) -> None:
        self._opened.set()
        for viewer in self._people.values():
            self._send(viewer, self._about)

    def _wake(self) -> None:
        for viewer in self._people.values():
            viewer.wake()

    def _tell_people(self) -> None:
        """Tell everybody who steers, and have the camera be that one's."""
        sharing = self._sharing
        steering = self._people.get(sharing.steering or 0)
        self._from_viewers.camera.available = bool(steering and steering.has_camera)
        self.wanted = steering.wanted_scale if steering else None
        for number, viewer in self._people.items():
            text = say(
                "people", you=number, steering=sharing.steering, viewers=sharing.viewers,
                asking=sharing.asking, seconds=ANSWER_SECONDS,
            )  # fmt: skip
            if text != viewer.told:
                viewer.told = text
                self._send(viewer, text)

    def _tell_camera(self, what: str) -> None:
        """Pass on what the source of camera frames wants."""
        if what == START:
            self._camera_of = self._people.get(self._sharing.steering or 0)
            if self._camera_of is None:
                self._from_viewers.camera.refuse("no browser with a camera is there")
        if self._camera_of is None:
            return
        self._send(self._camera_of, say("camera", want=what))
        if what not in (START, FRAME):
            self._camera_of = None

    def _send(self, viewer: Viewer, text: str) -> None:
        task = asyncio.ensure_future(viewer.tell(text))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
