"""A start for small apps: every method of the protocol, doing nothing.

Write a class that inherits from `BaseApp`, and only the methods that it needs. docs/apps.md
shows how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from toolbox.app.bindings import Binding
from toolbox.app.protocol import Activations, Timing
from toolbox.drawing.screen import Drawing
from toolbox.input.frame import Frame
from toolbox.settings.config import Settings
from toolbox.window.pointer import Pointer


class BaseApp:
    """An app without keys, panes and work of its own; see `toolbox.app.protocol.App`."""

    heading: ClassVar[str] = ""
    bindings: ClassVar[Sequence[Binding[Any]]] = ()
    pane_names: ClassVar[Sequence[str]] = ()
    pointed_panes: ClassVar[Sequence[str]] = ()

    def start(self) -> None:
        """Start nothing."""

    def rescale(self, settings: Settings) -> None:
        """Draw as before, into panes of another size."""

    def handle(self, row: Binding[Any]) -> None:
        """Do nothing; called only for rows of `bindings`."""

    def type(self, key: str) -> bool:
        """Take no text."""
        return False

    def point(self, pointer: Pointer) -> None:
        """Pass the mouse over."""

    def set_frame(self, frame: Frame) -> None:
        """Pass the frame over."""

    def notice(self, seen: Activations) -> None:
        """Pass over what another app published."""

    def published(self) -> Activations | None:
        """Publish nothing."""
        return None

    def update(self) -> None:
        """Do nothing."""

    def wait(self, seconds: float) -> None:
        """Wait for nothing."""

    def aspect(self) -> float | None:
        """Take pictures of any aspect."""
        return None

    def settled(self) -> bool:
        """Nothing is under way."""
        return True

    def shown_frame(self) -> Frame | None:
        """Show no frame."""
        return None

    def title(self) -> str:
        """Add nothing to the window's title."""
        return ""

    def status(self) -> str:
        """Add nothing to the status line."""
        return ""

    def message(self) -> str:
        """Report nothing."""
        return ""

    def notes(self) -> Sequence[str]:
        """Have nothing for the terminal and the help."""
        return ()

    def timings(self) -> Sequence[Timing]:
        """Measure nothing."""
        return ()

    def frames_done(self) -> int:
        """Count nothing."""
        return 0

    def drawings(self) -> Sequence[Drawing]:
        """Draw nothing."""
        return ()

    def close(self) -> bool:
        """There is no thread to join."""
        return True
