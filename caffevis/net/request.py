"""What is asked of the network, and what it answers.

A result holds copies of all that the panes need and travels with its request,
so the picture on the screen and the activations beside it always belong together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from caffevis.causes.asked import Account, Effect, Question, Ranking, Trial
from caffevis.keys.state import Origin
from caffevis.net.cam import Cam
from caffevis.net.measures import LayerStats
from caffevis.net.receptive_fields import Fields
from caffevis.net.weights import Weights
from toolbox.app.protocol import Timing
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray


class Superseded(Exception):
    """What was asked for is no longer wanted: there is no result."""


@dataclass(frozen=True)
class Back:
    """A back pass: by which rule, from which unit."""

    mode: str
    origin: Origin


@dataclass(frozen=True)
class NetRequest:
    """What the panes need computed.

    Parameters
    ----------
    frame : Frame
        The picture.
    layer : str
        The layer viewed.
    back : Back or None
        The back pass wanted, None while it is off.
    fields : bool
        Whether the layer's receptive fields are wanted, too.
    cam : Origin or None
        The unit of which Grad-CAM is wanted in the layer; its number may be `STRONGEST`.
    components : bool
        Whether the layer's principal components are wanted.
    weights : bool
        Whether the layer's weights are wanted.
    values : ndarray of float32, shape (1, channels, height, width), or None
        The frame as the network's input, where it has been prepared already.
    trial : Trial or None
        What is done to network and frame.
    question : Question or None
        What is to be found out about causes.
    """

    frame: Frame
    layer: str
    back: Back | None = None
    fields: bool = False
    cam: Origin | None = None
    components: bool = False
    weights: bool = False
    values: FloatArray | None = field(default=None, compare=False, repr=False)
    trial: Trial | None = None
    question: Question | None = None


@dataclass(frozen=True, eq=False)
class NetResult:
    """What was computed, copied out of the network.

    Parameters
    ----------
    request : NetRequest
        What it answers.
    activations : ndarray of float32, shape (units, ...)
        The viewed layer's values.
    probs : ndarray of float32, shape (classes,), or None
        The probability layer's values, where there is one.
    layer_diffs : ndarray of float32, shape of `activations`, or None
        The viewed layer's diffs, where a back pass was asked for.
    back_image : ndarray of float32, shape (h, w, 3 or 1), or None
        The input's diff, channels in RGB order; of a pair both, shape (2, ...).
    timings : tuple of Timing
        What each part took; a part that was not needed again is missing.
    stats : LayerStats or None
        Of `activations`.
    fields : Fields or None
        Of the viewed layer, where they were asked for.
    field : tuple of int
        Height and width of what a unit in the middle of the viewed layer sees, in pixels of
        the input; empty where that is not known.
    broken : str
        Which layer first has no numbers, where one was met.
    cam : Cam or None
        Grad-CAM, where it was asked for.
    components : ndarray of float32, shape (h, w, 3), or None
        The layer's principal components as colours, 0 to 1, where they were asked for.
    weights : Weights or None
        The layer's, where they were asked for.
    note : str
        What the viewer should know of the layer or the back pass, for the status line.
    effect : Effect or None
        What the request's trial changed.
    answer : Ranking, Account or None
        To the request's question.
    """

    request: NetRequest
    activations: FloatArray
    probs: FloatArray | None
    layer_diffs: FloatArray | None
    back_image: FloatArray | None
    timings: tuple[Timing, ...]
    stats: LayerStats | None = None
    fields: Fields | None = None
    field: tuple[int, ...] = ()
    broken: str = ""
    cam: Cam | None = None
    components: FloatArray | None = None
    weights: Weights | None = None
    note: str = ""
    effect: Effect | None = None
    answer: Ranking | Account | None = None

    @property
    def seen(self) -> Frame:
        """The frame as the network sees it: disturbed, where it is."""
        disturbed = self.effect.frame if self.effect else None
        return disturbed or self.request.frame
