"""What causes cost a frame: nothing while they are off; a lesion what lies above it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.lab.nets import CALTECH, MEAN, PHOTO
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark, goal
from caffevis.causes.asked import Question, Trial
from caffevis.keys.causes import MATTERS, NOISE, OFF, SOURCE, Disturbance, Lesion
from caffevis.model.opening import make_preprocess
from caffevis.net.network import Network
from caffevis.net.request import NetRequest
from settings import TABLE
from toolbox.input.frame import Frame
from toolbox.pictures.crop import to_aspect
from toolbox.pictures.image_file import read_image
from toolbox.settings import config

LAYER, UNIT = "conv5", 60
LEAST = 0.98  # of the speed that a worker without causes has
BARE, PLAIN = "a worker without causes", "nothing switched on"


class NoCauses:
    """In the place of the worker's causes, to know what these cost while they are off."""

    trial = None

    def forget(self) -> None:
        """Do nothing."""

    def effect(self, layer: str, frame: Frame) -> None:
        """Do nothing."""


def _lesion(layer: str) -> Trial:
    return Trial((Lesion(layer, UNIT, OFF),), None, "fc8")


ASKED: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "a unit of conv5 off": {"trial": _lesion("conv5")},
    "a unit of conv2 off": {"trial": _lesion("conv2")},
    "noise": {"trial": Trial((), Disturbance(NOISE, 8), "fc8")},
    "who of conv5 matters": {"question": Question(MATTERS, LAYER, None, "fc8")},
    "where conv5:60 comes from": {"question": Question(SOURCE, LAYER, unit=UNIT)},
}


def contenders() -> dict[str, Callable[[], object]]:
    """Return what shows the next frame, by what is asked of it."""
    settings = config.load(TABLE, None).replaced(caffevis_data_mean=MEAN)
    net = CALTECH.load()
    prepare = make_preprocess(net, settings)
    networks = {name: Network(net, prepare, "prob", 1) for name in (BARE, *ASKED)}
    networks[BARE]._causes = NoCauses()  # type: ignore[assignment]
    frame = Frame(0, to_aspect(read_image(PHOTO), False, 1.0), "photo")
    numbers = itertools.count(1)

    def shows(name: str) -> Callable[[], object]:
        asked = ASKED.get(name, {})
        return lambda: networks[name](
            replace(NetRequest(frame, LAYER), frame=replace(frame, id=next(numbers)), **asked)
        )

    return {name: shows(name) for name in networks}


@benchmark("causes", "what lesions, disturbances and questions about causes cost a frame")
def causes(budget: float) -> list[Table]:
    """Show frames to the worker of the bundled model, one thread, a unit's layer viewed."""
    seconds = interleaved(contenders(), budget)
    share = seconds[BARE] / seconds[PLAIN]
    note = goal(
        "speed while nothing is on, of a worker without causes", share, LEAST, at_least=True
    )
    title = f"A frame of {CALTECH.title} in the window's worker, {LAYER} viewed"
    return [Table(title, seconds, BARE, notes=[note])]
