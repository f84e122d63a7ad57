"""The example app: its curves against plain arithmetic, and beside the main app."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

import settings as declared
from apps.layer_plot import COLOURS, KEPT, PANE, History, LayerPlotApp, PlotView, draw, follow
from caffevis.app import CaffeVisApp
from toolbox.app.bindings import Binding
from toolbox.app.protocol import Activations
from toolbox.drawing.text import Style
from toolbox.input.files import FileQuery
from toolbox.input.frame import Frame
from toolbox.input.sources import Inputs
from toolbox.pictures.image_file import write_image
from toolbox.run.drive import run_script
from toolbox.run.loop import Loop
from toolbox.settings import config

FRAME = Frame(1, np.zeros((4, 4, 3), np.uint8), "photo")
STYLE = Style(face=0, size=0.5, colour=(255, 255, 255), thickness=1)
GROUND = (10, 20, 30)


def seen(values, layer: str = "conv1") -> Activations:
    return Activations(FRAME, layer, np.array(values, np.float32))


def test_a_point_has_mean_maximum_and_the_share_of_active_units():
    maps = [[[0, 0], [0, 4]], [[-1, -1], [-1, -1]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]]
    assert follow(History(), seen(maps)).points == ((0.25, 4.0, 0.5),)
    assert follow(History(), seen([3, -1])).points == ((1.0, 3.0, 0.5),)


def test_the_last_frames_are_kept_and_another_layer_begins_anew():
    history = History()
    for number in range(KEPT + 5):
        history = follow(history, seen([number]))
    assert [point[0] for point in history.points] == list(range(5, KEPT + 5))
    assert follow(history, seen([7], "conv2")) == History("conv2", ((7.0, 7.0, 1.0),))


def test_each_strip_draws_its_curve_from_its_lowest_to_its_highest_value():
    points = tuple((float(n), float(-n), 0.5) for n in range(KEPT))
    canvas = np.zeros((90, KEPT, 3), np.uint8)
    draw(canvas, PlotView(History("conv1", points), STYLE, GROUND))
    top = STYLE.height() + 2 + STYLE.depth() + 2
    for index, ends in enumerate([("low", "high"), ("high", "low"), ("middle", "middle")]):
        strip = canvas[30 * index : 30 * index + 30]
        heights = {"low": 26, "high": top, "middle": round((26 + top) / 2)}
        for column, end in zip((0, KEPT - 1), ends, strict=True):
            drawn = np.abs(strip[top:, column].astype(int) - COLOURS[index]).sum(axis=1)
            assert abs(int(drawn.argmin()) + top - heights[end]) <= 1


def test_a_pane_without_room_or_frames_is_painted_all_the_same():
    for rows in (3, 90):
        canvas = np.zeros((rows, 40, 3), np.uint8)
        draw(canvas, PlotView(History(), STYLE, GROUND))
        assert (canvas == GROUND).all(axis=2).any()


class FakeNet:
    """One layer that hands the input on: its mean is the photo's, less nothing."""

    _layer_names = ("data", "same")
    layers = (SimpleNamespace(type="Input"), SimpleNamespace(type="Eltwise"))
    top_names = {"data": ("data",), "same": ("same",)}
    inputs = ("data",)

    def __init__(self) -> None:
        blob = np.zeros((1, 3, 8, 8), np.float32)
        self.blobs = {
            name: SimpleNamespace(data=blob.copy(), diff=blob.copy(), shape=blob.shape)
            for name in ("data", "same")
        }

    def forward(self) -> None:
        self.blobs["same"].data[...] = self.blobs["data"].data

    def backward_from_layer(self, *_: object, **__: object) -> None: ...

    deconv_from_layer = backward_from_layer


def test_beside_the_main_app_each_frame_adds_one_point(tmp_path):
    for number in (1, 2, 3):
        photo = np.full((16, 16, 3), 10 * number, np.uint8)
        write_image(tmp_path / f"{number}.png", photo)
    panes = (("input", (0, 0, 50, 50)), (PANE, (50, 0, 90, 300)))
    settings = config.load(declared.TABLE, None).replaced(
        window_panes=panes, caffevis_data_mean=None, caffevis_labels=None,
        caffevis_prob_layer=None,
    )  # fmt: skip
    plot = LayerPlotApp(settings)
    apps = [CaffeVisApp(settings, net=FakeNet()), plot]
    loop = Loop(settings, apps, Inputs(FileQuery(folder=str(tmp_path)), None))

    def means() -> list[float]:
        return [point[0] for point in plot._history.points]

    try:
        run_script(loop, ["e", "e", "t", "down", "right"])
        assert means() == [10.0, 20.0, 30.0]
        picture = run_script(loop, ["delete"]).copy()
        assert means() == []
        assert not np.array_equal(run_script(loop, ["w"])[50:], picture[50:])
        assert means() == [20.0]
    finally:
        assert loop.close()


def test_its_row_is_pure():
    row: Binding = LayerPlotApp.bindings[0]
    history = History("conv1", ((1.0, 2.0, 0.5),))
    assert row.action(history) == History("conv1")
    assert history.points
