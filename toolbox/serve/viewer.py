"""One viewer: frames to it at its own pace, and what it says, checked."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from toolbox.serve.limits import Allowance
from toolbox.serve.messages import Message, MessageError, read, write_frame
from toolbox.serve.picture import Encoder, Seen

UNCONFIRMED = 2  # frames that may be on their way
CONFIRM_SECONDS = 15.0  # who confirms nothing for so long has stopped
LEAVE_CODES = {"full": 4001, "stopped": 4002, "flood": 4003, "malformed": 4004}


class Dropped(Exception):
    """A viewer is to be let go."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = LEAVE_CODES[code], reason


class Host(Protocol):
    """What a viewer needs of the server."""

    async def handle(self, viewer: Viewer, message: Message) -> None:
        """Do what a viewer says; raises `MessageError`."""


class Viewer:
    """A connection with a page.

    Parameters
    ----------
    number : int
        Counts up from 1.
    connection : ServerConnection
        Open.
    """

    def __init__(self, number: int, connection: ServerConnection) -> None:
        self.number = number
        self.who = f"viewer {number} ({_address(connection)})"
        self.has_camera = False
        self.wanted_scale: float | None = None
        self.confirmed = 0  # frames that it has shown
        self.told = ""  # who steers, as it knows it
        self._connection = connection
        self._allowance = Allowance()
        self._unconfirmed: set[int] = set()
        self._confirmed = asyncio.Event()
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Have it look for something new."""
        self._changed.set()

    def confirm(self, number: int) -> None:
        """Note that a frame is shown; raises `MessageError` where it was not sent."""
        if number not in self._unconfirmed:
            raise MessageError("a frame confirmed that is not on its way")
        self._unconfirmed.discard(number)
        self.confirmed += 1
        self._confirmed.set()

    async def tell(self, text: str) -> None:
        """Send a text message; a viewer that is just leaving misses it."""
        try:
            await asyncio.wait_for(self._connection.send(text), CONFIRM_SECONDS)
        except (ConnectionClosed, asyncio.TimeoutError):
            return

    async def feed(self, encoder: Encoder) -> None:
        """Send frames for ever, each when there is something new and the last are shown.

        Raises
        ------
        Dropped
            The viewer takes none.
        ConnectionClosed
            It has gone.
        """
        seen, number = Seen(), 0
        loop = asyncio.get_running_loop()
        while True:
            await self._until_confirmed()
            self._changed.clear()
            found = await loop.run_in_executor(encoder.quick, encoder.frame, seen)
            if isinstance(found, float):
                await _wait(self._changed, found)
                continue
            number += 1
            self._unconfirmed.add(number)
            data = write_frame(number, found)
            try:
                await asyncio.wait_for(self._connection.send(data), CONFIRM_SECONDS)
            except asyncio.TimeoutError:
                raise _stopped() from None

    async def _until_confirmed(self) -> None:
        while len(self._unconfirmed) >= UNCONFIRMED:
            self._confirmed.clear()
            if not await _wait(self._confirmed, CONFIRM_SECONDS):
                raise _stopped()

    async def listen(self, host: Host) -> None:
        """Pass on what the viewer says, until it leaves.

        Raises
        ------
        Dropped
            It says too much, or what means nothing.
        """
        async for received in self._connection:
            if not self._allowance.take(len(received)):
                raise Dropped("flood", "dropped: it sends too much")
            try:
                await host.handle(self, read(received))
            except MessageError as error:
                raise Dropped("malformed", f"dropped: it sent {error}") from error

    async def close(self, dropped: Dropped) -> None:
        """Say why, and hang up."""
        await self._connection.close(dropped.code, dropped.reason)


def _stopped() -> Dropped:
    return Dropped("stopped", f"dropped: it showed no picture for {CONFIRM_SECONDS:g} s")


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most so long; whether it came."""
    try:
        await asyncio.wait_for(event.wait(), None if math.isinf(seconds) else max(seconds, 0.0))
    except asyncio.TimeoutError:
        return False
    return True


def _address(connection: ServerConnection) -> str:
    address = connection.remote_address
    return str(address[0]) if address else "gone"
