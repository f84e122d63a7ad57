"""What a request asks about causes, and what a result answers: frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from caffevis.keys.causes import MATTERS, SOURCE, Disturbance, Lesion, Place
from caffevis.keys.state import Origin, State
from toolbox.input.frame import Frame
from toolbox.pictures.images import FloatArray


@dataclass(frozen=True)
class Trial:
    """What is done to the network and the frame.

    Parameters
    ----------
    lesions : tuple of Lesion
        In effect together.
    disturbance : Disturbance or None
        Of the frame.
    class_layer : str
        Whose units are the classes, for a step against one; empty where there is none.
    """

    lesions: tuple[Lesion, ...] = ()
    disturbance: Disturbance | None = None
    class_layer: str = ""


@dataclass(frozen=True)
class Question:
    """What is to be found out.

    Parameters
    ----------
    kind : str
        `MATTERS` or `SOURCE`.
    layer : str
        Who of this layer matters; of which layer the number is.
    target : Origin or None
        `MATTERS`: for which unit, None for the top class.
    class_layer : str
        Whose units are the classes; empty where there is none.
    unit : int
        `SOURCE`: the unit.
    place : Place or None
        `SOURCE`: where in its map; None for the strongest.
    """

    kind: str
    layer: str
    target: Origin | None = None
    class_layer: str = ""
    unit: int = 0
    place: Place | None = None


@dataclass(frozen=True, eq=False)
class Effect:
    """What a trial changed.

    Parameters
    ----------
    probs : ndarray of float32, shape (classes,), or None
        Of the undisturbed network and frame.
    activations : ndarray of float32, shape (units, ...)
        Of the viewed layer, undisturbed.
    changes : tuple of (str, float)
        Of each layer |after - before| / |before| (L2 norms), as the findings have it.
    held : tuple of (Lesion, str)
        What each lesion is, for the status line.
    frame : Frame or None
        The disturbed frame as the network sees it; None where it is not disturbed.
    note : str
        What could not be done.
    """

    probs: FloatArray | None
    activations: FloatArray
    changes: tuple[tuple[str, float], ...] = ()
    held: tuple[tuple[Lesion, str], ...] = ()
    frame: Frame | None = None
    note: str = ""


@dataclass(frozen=True)
class Ranked:
    """A unit that matters.

    Parameters
    ----------
    unit : int
        Its number.
    estimate : float
        Its activation times its diff, summed over its map: what the target would lose without
        it, were all layers above linear.
    effect : float or None
        What the target does lose when it is switched off; None where it cannot be.
    prob : float or None
        The class's probability without it.
    """

    unit: int
    estimate: float
    effect: float | None
    prob: float | None


@dataclass(frozen=True, eq=False)
class Ranking:
    """Who matters: the answer to `MATTERS`."""

    question: Question
    target: Origin | None = None
    value: float = 0.0
    prob: float | None = None
    rows: tuple[Ranked, ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class Part:
    """A unit below, and what it adds.

    Parameters
    ----------
    unit : int
        Its number in the blob below.
    value : float
        What it adds.
    patch, kernel : ndarray of float64, shape (rows, columns)
        What the kernel sees of it, and the weights over it.
    """

    unit: int
    value: float
    patch: npt.NDArray[np.float64]
    kernel: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Account:
    """Where a number comes from: the answer to `SOURCE`.

    Parameters
    ----------
    question : Question
        What it answers.
    at : Place or None
        The value that is explained: of a convolution or fully connected layer.
    way : str
        What lies between the place asked for and that one; empty where they are the same.
    value, bias : float
        The value before any layer in place, and its bias.
    shown : float
        What the blob holds there now, behind layers in place.
    below : str
        The blob below.
    parts : tuple of Part
        Those of largest amount, the largest first.
    rest : float
        What all others add.
    others : int
        How many these are.
    down : Place or None
        Where the largest part leads to.
    down_way : str
        What lies between there and the blob below.
    note : str
        Why there is no account.
    """

    question: Question
    at: Place | None = None
    way: str = ""
    value: float = 0.0
    bias: float = 0.0
    shown: float = 0.0
    below: str = ""
    parts: tuple[Part, ...] = ()
    rest: float = 0.0
    others: int = 0
    down: Place | None = None
    down_way: str = ""
    note: str = field(default="")


def trial_of(state: State, class_layer: str) -> Trial | None:
    """Say what a state does to network and frame; None for nothing."""
    causes = state.causes
    if not causes.lesions and causes.disturbance is None:
        return None
    return Trial(causes.lesions, causes.disturbance, class_layer)


def question_of(state: State, class_layer: str) -> Question | None:
    """Say what a state wants to know; None for nothing."""
    causes, layer = state.causes, state.layer.name
    if causes.report == MATTERS:
        return Question(MATTERS, layer, state.frozen, class_layer)
    if causes.report == SOURCE and state.in_units:
        place = causes.place
        if place is not None and (place.layer, place.unit) != (layer, state.unit):
            place = None
        return Question(SOURCE, layer, unit=state.unit, place=place)
    return None
