"""The window in browsers: what drives the loop in the place of HighGUI's window.

It has the same public methods as `toolbox.window.highgui.Window`, which a test holds, so whoever
drives the loop knows nothing of browsers.
"""

from __future__ import annotations

import math
import threading
from types import TracebackType

from toolbox.app.bindings import Bindings
from toolbox.drawing.panes import Layout
from toolbox.pictures.images import Image
from toolbox.serve.hall import Hall
from toolbox.serve.messages import describe_keys
from toolbox.serve.picture import Encoder
from toolbox.serve.server import Server
from toolbox.window.desktop import SMALLEST
from toolbox.window.pointer import MouseEvent

LARGEST = 2.0  # times its size on the desktop: beyond it, sharpness costs too much of the speed
MAX_PIXELS = 12_000_000


class ServedWindow:
    """A window that browsers show, and whose keys and mouse are theirs.

    Parameters
    ----------
    title : str
        The page's title.
    layout : Layout
        Of the pictures that it will show first.
    scale : float or None
        The `global_scale` that the layout was made with; None where it is to stay.
    bindings : Bindings
        The rows of keys, for the page's own list.
    hall : Hall
        The viewers.
    server : Server
        Whose end is the window's; closed by the caller.
    """

    def __init__(
        self,
        title: str,
        layout: Layout,
        scale: float | None,
        bindings: Bindings,
        hall: Hall,
        server: Server,
    ) -> None:
        self.title = title
        self._scale = scale
        self._largest = _largest(layout) if scale is None else scale * _largest(layout)
        self._hall = hall
        self._server = server
        self._ended = threading.Event()
        panes = [(p.column, p.row, p.width, p.height) for p in layout.panes.values()]
        about = {
            "title": title, "keys": describe_keys(bindings), "panes": panes, "width": layout.width,
            "height": layout.height,
        }  # fmt: skip
        self.encoder = Encoder(layout, hall.wake)
        hall.open(self.encoder, about)

    def __enter__(self) -> ServedWindow:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def show(self, buffer: Image) -> None:
        """Show an RGB buffer of shape (height, width, 3)."""
        self._hall.show(buffer)

    def poll(self, milliseconds: int) -> list[int | MouseEvent]:
        """Wait for a key or the mouse, and take all there is.

        Parameters
        ----------
        milliseconds : int
            How long to wait for the first one.

        Returns
        -------
        list of int or MouseEvent
            Codes for `toolbox.window.key_codes.decode` and mouse events, in their order.
        """
        return self._hall.poll(max(1, milliseconds) / 1000)

    def poll_codes(self, milliseconds: int) -> list[int]:
        """Wait for keys and take them; the mouse is passed over."""
        return [event for event in self.poll(milliseconds) if isinstance(event, int)]

    def is_open(self) -> bool:
        """Tell whether nobody has ended it, here; viewers come and go."""
        return self._server.running and not self._ended.is_set()

    def wanted_scale(self) -> float | None:
        """Return the scale that fits the screen of the one who steers; None: as it is."""
        room = self._hall.wanted
        if self._scale is None or room is None:
            return None
        return max(SMALLEST, min(int(100 * self._scale * room) / 100, self._largest))

    def close(self) -> None:
        """End it; may be called from a signal's handler."""
        self._ended.set()


def _largest(layout: Layout) -> float:
    """Return how many times larger the window may become, as there are browsers of any size."""
    return min(LARGEST, math.sqrt(MAX_PIXELS / (layout.width * layout.height)))
