"""The occlusion map: step by step, against covering by hand; the app asks for it to its end."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caffevis.causes import occlusion
from caffevis.causes.occlusion import GRID, MapRequest, Occluder
from caffevis.keys.state import Origin
from tests.caffevis.causes.conftest import PREPARE, make_frame
from tests.caffevis.conftest import FakeNet


def finished(occluder: Occluder, frame, target: Origin | None):
    known = list(occluder(MapRequest(frame, target)))
    assert [each.finished for each in known] == [False] * (len(known) - 1) + [True]
    return known[-1], [each.share for each in known]


@pytest.mark.parametrize("target", [None, Origin("a", 2)])
def test_each_place_is_what_is_lost_where_it_is_covered(world, target):
    found, shares = finished(Occluder(world.net, PREPARE, "data", "prob"), world.frame, target)
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1 and len(shares) > 5
    plain = PREPARE(world.frame.image)
    whole = world.ask("prob" if target is None else "a")
    maps = world.units.data("prob" if target is None else "a")
    unit = int(whole.activations.argmax()) if target is None else target.unit
    place = int(maps[unit].argmax())
    assert found.target == Origin("prob" if target is None else "a", unit)
    assert found.whole == pytest.approx(maps[unit].max(), rel=1e-5)
    for row, column in ((0, 0), (7, 7), (GRID - 1, 3)):
        covered = plain.copy()
        side = 24 // occlusion.SHARE
        top = round((row + 0.5) * 24 / GRID - side / 2)
        left = round((column + 0.5) * 24 / GRID - side / 2)
        covered[0, :, max(top, 0) : top + side, max(left, 0) : left + side] = plain[0].mean(
            axis=(1, 2), keepdims=True
        )
        world.net.blobs["data"].data[...] = covered
        world.net.forward()
        value = world.units.data(found.target.layer)[unit].flat[place]
        assert found.losses[row, column] == pytest.approx(found.whole - value, abs=1e-5)


def test_the_net_itself_is_left_alone(world):
    world.ask()
    before = world.data()
    finished(Occluder(world.net, PREPARE, "data", "prob"), make_frame(8), None)
    after = world.data()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_a_net_that_insists_on_one_image_is_asked_one_by_one(net_of_one):
    occluder = Occluder(net_of_one, PREPARE, "data", "prob")
    found, shares = finished(occluder, make_frame(1), None)
    assert len(shares) == GRID * GRID + 1 and math.isfinite(float(found.losses.sum()))


@pytest.fixture
def net_of_one(tmp_path):
    import torchcaffe as caffe
    from tests.caffevis.causes.conftest import TEXT

    reshape = (
        'layer { name: "flat" type: "Reshape" bottom: "both" top: "flat" reshape_param { shape '
        "{ dim: 1 dim: 250 } } }"
    )
    flatten = 'layer { name: "flat" type: "Flatten" bottom: "both" top: "flat" }'
    path = tmp_path / "one.prototxt"
    path.write_text(TEXT.replace(flatten, reshape), encoding="utf-8")
    caffe.set_random_seed(1)
    return caffe.Net(str(path), caffe.TEST)


def test_another_engine_and_a_net_without_classes_say_so(world):
    request = MapRequest(make_frame(1), None)
    (found,) = Occluder(FakeNet(), PREPARE, "data", "prob")(request)
    assert found.note == occlusion.NOT_HERE
    (found,) = Occluder(world.net, PREPARE, "data", None)(request)
    assert found.note == "choose a unit: there are no classes"
