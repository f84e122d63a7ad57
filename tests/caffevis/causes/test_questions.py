"""Who matters, and where a number comes from: against lesions, and against the sum itself."""

from __future__ import annotations

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.causes import accounts, ranking
from caffevis.causes.asked import Question, Trial
from caffevis.causes.below import way_down
from caffevis.keys.causes import MATTERS, OFF, SOURCE, Lesion, Place
from caffevis.keys.state import Origin
from caffevis.model.preprocess import Preprocess
from caffevis.net.network import Back, Network
from caffevis.net.request import NetRequest
from tests.caffevis.causes.conftest import make_frame
from tests.caffevis.conftest import FakeNet
from tests.torchcaffe.importing.zoo import SIZE, make


def test_who_matters_is_what_a_lesion_of_each_unit_costs_the_class(world):
    plain = world.ask()
    top = int(plain.probs.argmax())
    found = world.answer(MATTERS, "both", class_layer="fc")
    assert found.target == Origin("fc", top)
    assert found.value == pytest.approx(plain.activations[top])
    assert found.prob == plain.probs[top]
    amounts = [abs(row.estimate) for row in found.rows]
    assert amounts == sorted(amounts, reverse=True) and len(amounts) > 3
    for row in found.rows:
        with caffe.lesions(world.net, {("both", row.unit): 0.0}) as recompute:
            recompute()
            lost = found.value - world.net.blobs["fc"].data[0, top]
            assert row.effect == pytest.approx(lost, rel=1e-5, abs=1e-6)
            assert row.prob == pytest.approx(world.net.blobs["prob"].data[0, top], rel=1e-5)
        # Above this layer all is linear: the guess is exact.
        assert row.estimate == pytest.approx(row.effect, rel=1e-4, abs=1e-5)
    caffe.recompute(world.net, ["both"])


def test_further_down_the_guess_is_one_and_the_effect_is_true(world):
    found = world.answer(MATTERS, "conv1", class_layer="fc")
    for row in found.rows:
        with caffe.lesions(world.net, {("conv1", row.unit): 0.0}) as recompute:
            recompute()
            lost = found.value - world.net.blobs["fc"].data[0, found.target.unit]
            assert row.effect == pytest.approx(lost, rel=1e-5, abs=1e-6)
    caffe.recompute(world.net, ["conv1"])
    gaps = [abs(row.estimate - row.effect) for row in found.rows]
    assert max(gaps) > 1e-4, "rectifiers, maxima and LRN lie between"


def test_for_a_frozen_unit_it_is_its_strongest_place(world):
    world.ask()
    maps = world.units.data("a")
    unit = int(maps.max(axis=(1, 2)).argmax())
    found = world.answer(MATTERS, "conv1", target=Origin("a", unit), class_layer="fc")
    assert found.value == maps[unit].max() and found.prob is None
    assert any(row.effect for row in found.rows)


def test_after_the_question_the_net_holds_what_it_held(world):
    trial = Trial((Lesion("both", 1, OFF),))
    world.ask(trial=trial)
    before = world.data()
    result = world.ask("conv1", trial=trial)
    world.network(
        NetRequest(world.frame, "conv1", trial=trial, question=question(MATTERS, "conv1"))
    )
    after = world.data()
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert result.effect.held


def question(kind: str, layer: str, **more) -> Question:
    return Question(kind, layer, class_layer="fc", **more)


def test_a_question_is_answered_once_and_a_back_pass_after_it_is_its_own(world):
    back = Back("grad", Origin("both", 1))
    plain = world.ask("both", back=back)
    asked = question(MATTERS, "both")
    first = world.ask("both", back=back, question=asked)
    np.testing.assert_array_equal(first.back_image, plain.back_image)
    again = world.ask("both", back=back, question=asked)
    assert again.answer is first.answer
    np.testing.assert_array_equal(again.back_image, plain.back_image)
    assert world.ask("both", frame=make_frame(5), question=asked).answer is not first.answer


@pytest.mark.parametrize(
    ("layer", "target", "said"),
    [
        ("fc", Origin("both", 1), "no unit of fc reaches both:1"),
        ("both", Origin("both", 1), "no unit of both reaches both:1"),
        ("b", Origin("a", 1), "no unit of b reaches a:1"),
    ],
)
def test_what_does_not_matter_is_said(world, layer, target, said):
    found = world.answer(MATTERS, layer, target=target)
    assert found.note == said and not found.rows


def test_without_classes_and_a_frozen_unit_there_is_nothing_to_matter_for(world):
    assert world.answer(MATTERS, "both").note == ranking.NO_TARGET


def test_an_account_sums_up_and_its_parts_are_in_order(world):
    world.ask()
    for layer, unit in (("conv1", 2), ("a", 1), ("fc", 3)):
        found = world.answer(SOURCE, layer, unit=unit)
        total = sum(part.value for part in found.parts) + found.rest + found.bias
        assert total == pytest.approx(found.value, rel=1e-6)
        maps = world.units.data(layer)[unit]
        assert (found.at.layer, found.at.unit) == (layer, unit)
        assert found.shown == maps.max()
        if found.shown > 0 or layer != "conv1":
            assert found.value == pytest.approx(found.shown, rel=1e-5)
        amounts = [abs(part.value) for part in found.parts]
        assert amounts == sorted(amounts, reverse=True)
        for part in found.parts:
            assert (part.patch * part.kernel).sum() == pytest.approx(part.value, rel=1e-6)


def test_the_largest_part_leads_to_the_value_that_went_into_it(world):
    world.ask()
    unit = int(world.units.data("a").max(axis=(1, 2)).argmax())
    found = world.answer(SOURCE, "a", unit=unit)
    assert found.below == "pool1"
    assert found.down_way == "pool1 (Pooling), norm1 (LRN), relu1 (ReLU)"
    down = found.down
    part = found.parts[0]
    assert (down.layer, down.unit) == ("conv1", part.unit)
    # LRN keeps places: the value before it is the largest of the pooling's window.
    assert world.units.data("norm1")[down.unit, down.row, down.column] in part.patch
    there = world.answer(SOURCE, "conv1", unit=down.unit, place=down)
    assert there.at == down
    assert there.value == pytest.approx(world.units.data("conv1")[down.unit][down.row, down.column])
    assert there.down is None and there.down_way == "data is the input"


def test_a_value_of_a_flattened_concatenation_is_followed_to_the_branch(world):
    world.ask()
    both = world.units.data("both")
    places = {"a": (2, 1, 3), "b": (7, 4, 0)}
    for layer, (unit, row, column) in places.items():
        flat = world.units.number("both", unit, row, column)
        assert world.units.data("flat")[flat, 0, 0] == both[unit, row, column]
        way = way_down(world.net, world.units, Place("flat", flat, 0, 0))
        assert way.layer == layer and not way.stop
        own = unit - (6 if layer == "b" else 0)
        assert way.place == Place(layer, own, row, column)
        assert way.between == ("flat (Flatten)", "relu2 (ReLU)", "both (Concat)")


def test_of_a_layer_that_adds_nothing_up_the_one_before_is_explained(world):
    world.ask()
    found = world.answer(SOURCE, "pool1", unit=2)
    assert found.at.layer == "conv1" and found.at.unit == 2
    assert found.way == "pool1 (Pooling), norm1 (LRN), relu1 (ReLU)"


def test_what_mixes_several_values_ends_the_way(world):
    world.ask()
    found = world.answer(SOURCE, "prob", unit=1)
    assert found.note == ("no account: what goes into a value of prob (Softmax) is not followed")
    assert not found.parts


def test_of_a_unit_with_a_lesion_there_is_no_account(world):
    world.ask()
    trial = Trial((Lesion("both", 1, OFF),))
    asked = question(SOURCE, "both", unit=1)
    assert world.ask("both", trial=trial, question=asked).answer.note == "a lesion sets both:1"
    other = question(SOURCE, "both", unit=2)
    assert not world.ask("both", trial=trial, question=other).answer.note


def test_another_engine_says_what_it_cannot():
    network = Network(FakeNet(), Preprocess(3, 8, 8, (2, 1, 0), None), "prob", 1)
    result = network(NetRequest(make_frame(1), "fc", question=question(SOURCE, "fc", unit=1)))
    assert result.answer.note == accounts.NOT_HERE


@pytest.fixture(scope="module")
def transformer():
    """A net with tokens: units are the last axis, and one token is in no map."""
    net = caffe.from_torch(make("ViT"), (3, SIZE, SIZE))
    prepare = Preprocess(3, SIZE, SIZE, (0, 1, 2), None, 1.0)
    return net, Network(net, prepare, None, 1)


def test_units_of_tokens_are_held_ranked_and_explained(transformer):
    net, network = transformer
    frame, target = make_frame(1), Origin("head", 2)
    found = network(NetRequest(frame, "mlp.0", question=question(MATTERS, "mlp.0", target=target)))
    assert found.activations.shape == (32, 4, 4) and len(found.answer.rows) > 3
    for row in found.answer.rows:
        with caffe.lesions(net, {("mlp.0", row.unit): 0.0}) as recompute:
            recompute()
            lost = found.answer.value - net.blobs["head"].data[0, 2]
            assert row.effect == pytest.approx(lost, rel=1e-4, abs=1e-6)
    caffe.recompute(net, ["mlp.0"])
    unit = found.answer.rows[0].unit
    told = network(NetRequest(frame, "mlp.0", question=question(SOURCE, "mlp.0", unit=unit))).answer
    assert told.value == pytest.approx(found.activations[unit].max(), rel=1e-5)
    assert told.below == "norm2" and len(told.parts) == 5
    trial = Trial((Lesion("mlp.0", unit, OFF),))
    held = network(NetRequest(frame, "mlp.0", trial=trial))
    assert not held.activations[unit].any() and not net.blobs["mlp.0"].data[:, :, unit].any()
    assert held.effect.activations[unit].any()
