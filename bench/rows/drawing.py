"""Milliseconds for drawing one whole frame of the window, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import settings as declared
from bench.lab.nets import CALTECH, PHOTO, YOS, Model
from bench.lab.timing import interleaved
from bench.registry import Table, benchmark
from caffevis.app import CaffeVisApp
from toolbox.drawing.screen import Screen
from toolbox.input.files import FileQuery
from toolbox.input.sources import Inputs
from toolbox.run.drive import run_script
from toolbox.run.loop import Loop
from toolbox.settings import config

GOAL_MS = 5.0
LAYERS = ("conv1", "conv5", "fc6")


@contextmanager
def _window(model: Model) -> Iterator[tuple[Loop, CaffeVisApp]]:
    """Run the app on a photo, without a window, with the settings' defaults."""
    settings = config.load(declared.TABLE, None)
    app = CaffeVisApp(settings, net=model.load())
    loop = Loop(settings, [app], Inputs(FileQuery(paths=(str(PHOTO),)), None))
    try:
        yield loop, app
    finally:
        loop.close()


def _go_to(loop: Loop, app: CaffeVisApp, layer: str) -> None:
    """Walk to a unit of `layer` with real keys, with deconv on."""
    run_script(loop, ["esc"])
    while app.state.layer.name != layer:
        run_script(loop, ["o"])
    run_script(loop, ["down", "right", "b", "b", "b"])


def _draw_ms(model: Model, layer: str, budget: float) -> float:
    with _window(model) as (loop, app):
        _go_to(loop, app, layer)

        def forget() -> None:
            loop.screen = Screen(loop.screen.layout, loop.background)

        return interleaved({layer: loop.step}, budget, forget)[layer]


@benchmark("drawing", "milliseconds for drawing one whole frame")
def run(budget: float) -> list[Table]:
    """Time drawing every pane anew, with a unit selected and its deconv shown."""
    wanted = [(CALTECH, layer) for layer in LAYERS] + [(YOS, "fc6")]
    rows = {f"{m.name}, {layer}": _draw_ms(m, layer, budget / 4) for m, layer in wanted}
    title = "drawing all panes of one frame, 1500x930 pixels, one unit selected, deconv on"
    return [Table(title, rows, limit_ms=GOAL_MS)]
