"""Trials behind the worker: what is computed, what changes, and that all comes back bit by bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import torchcaffe as caffe
from caffevis.causes import disturb, trials
from caffevis.causes.asked import Trial
from caffevis.keys import causes as ca
from caffevis.keys.causes import DOUBLE, MEAN, OFF, Disturbance, Lesion
from caffevis.keys.state import Origin
from caffevis.net.network import Back, Network
from caffevis.net.request import NetRequest
from findings import layers as findings
from tests.caffevis.causes.conftest import PREPARE, make_frame
from tests.caffevis.conftest import FakeNet

NOISE = Disturbance(ca.NOISE, 8)


def strongest(world, layer: str) -> int:
    world.ask(layer)
    return int(world.units.data(layer).max(axis=(1, 2)).argmax())


def ran_of(world) -> list[str]:
    """Return the list to which each layer that runs from now on is added."""
    ran: list[str] = []
    names = list(world.net.layer_dict)
    world.net.before_forward(lambda number: ran.append(names[number]))
    return ran


ABOVE_BOTH = ["flat", "fc", "prob"]


def test_a_lesion_computes_only_what_lies_above_and_so_does_its_end(world):
    world.ask()
    ran = ran_of(world)
    world.lesion(("both", 2))
    assert ran == ABOVE_BOTH
    ran.clear()
    world.lesion(("both", 2), ("both", 5))
    assert ran == ABOVE_BOTH
    ran.clear()
    world.ask()
    assert ran == ABOVE_BOTH
    ran.clear()
    world.lesion(("fc", 1))
    assert ran == ["prob"]
    ran.clear()
    world.ask("conv1", trial=Trial((Lesion("fc", 1, OFF),), None, "fc"))
    assert ran == [], "another view of the same trial needs no pass"


def test_a_frame_with_a_lesion_costs_a_pass_and_what_lies_above(world):
    world.lesion(("both", 2))
    ran = ran_of(world)
    trial = Trial((Lesion("both", 2, OFF),), None, "fc")
    world.ask(frame=make_frame(2), trial=trial)
    assert ran == [*world.net.layer_dict, *ABOVE_BOTH]


def test_a_lesion_is_the_engines_and_the_undisturbed_values_stay_beside_it(world):
    unit, plain = strongest(world, "both"), world.ask()
    with caffe.lesions(world.net, {("both", unit): 0.0}):
        wanted = world.net.forward()["prob"][0].copy()
    world.net.forward()
    result = world.lesion(("both", unit))
    np.testing.assert_array_equal(result.probs, wanted)
    np.testing.assert_array_equal(result.effect.probs, plain.probs)
    np.testing.assert_array_equal(result.effect.activations, plain.activations)
    assert np.abs(result.probs - plain.probs).max() > 1e-4
    changes = dict(result.effect.changes)
    assert changes["conv1"] == changes["pool1"] == 0 and changes["both"] > 0.05


def test_every_round_of_lesions_and_disturbances_ends_with_the_same_bits(world):
    plain, bits = world.ask(), world.data()
    both = strongest(world, "both")
    steps = [
        Trial((Lesion("both", both, OFF),)),
        Trial((Lesion("conv1", 1, DOUBLE), Lesion("both", both, OFF))),
        Trial((Lesion("conv1", 1, DOUBLE),), NOISE),
        Trial((), NOISE),
        Trial((), Disturbance(ca.STEP, 2), "fc"),
        Trial((Lesion("fc", 1, MEAN),), Disturbance(ca.SHUFFLE, 3), "fc"),
    ]
    seen = {}
    for step in [*steps, None, *reversed(steps), None]:
        result = world.ask(trial=step)
        assert (result.effect is None) == (step is None)
        if step in seen:
            np.testing.assert_array_equal(result.probs, seen[step], err_msg=str(step))
        seen[step] = result.probs
    after = world.data()
    assert all(np.array_equal(after[name], bits[name]) for name in bits)
    np.testing.assert_array_equal(world.ask().probs, plain.probs)
    assert all(np.abs(seen[a] - seen[b]).max() > 0 for a, b in itertools.combinations(seen, 2))


def test_size_0_is_bit_equal_to_none(world):
    plain = world.ask("conv1")
    for kind in (ca.NOISE, ca.STEP, ca.SHIFT, ca.BLUR):
        result = world.ask("conv1", trial=Trial((), Disturbance(kind, 0), "fc"))
        np.testing.assert_array_equal(result.activations, plain.activations)
        np.testing.assert_array_equal(result.probs, plain.probs)
        assert not any(share for _, share in result.effect.changes)


def test_noise_and_shift_change_layers_as_the_findings_say(world):
    values = PREPARE(world.frame.image)
    for kind, size, changed in (
        (ca.NOISE, 4, disturb.noise(values, 4.0, disturb.draws(world.frame))),
        (ca.SHIFT, 2, disturb.shift(values, 2)),
    ):
        result = world.ask(trial=Trial((), Disturbance(kind, size)))
        world.net.blobs["data"].data[...] = values
        world.net.forward()
        before = world.data()
        world.net.blobs["data"].data[...] = changed
        world.net.forward()
        after = world.data()
        for name, share in result.effect.changes:
            wanted = float(findings.changes(before[name], after[name])[0])
            assert share == pytest.approx(wanted, rel=1e-5), (kind, name)
        world.network(NetRequest(make_frame(9), "fc"))


def test_the_disturbed_frame_is_shown_and_what_the_user_picked_stays_in_the_request(world):
    result = world.ask(trial=Trial((), Disturbance(ca.GRAY, 100)))
    assert result.request.frame is world.frame
    assert result.seen is result.effect.frame is not world.frame
    assert (result.seen.image == result.seen.image[..., :1]).all()
    again = world.ask("conv1", trial=Trial((), Disturbance(ca.GRAY, 100)))
    assert again.seen is result.seen, "the same picture is not drawn again"
    assert world.ask().seen is world.frame


def test_what_is_drawn_takes_the_frames_place_and_lesions_are_compared_with_it(world):
    plain = world.ask()
    drawn = Disturbance(ca.DRAW, 16, strokes=(((0.2, 0.2), (0.8, 0.8)),))
    alone = world.ask(trial=Trial((), drawn))
    np.testing.assert_array_equal(alone.effect.probs, alone.probs)
    assert not any(share for _, share in alone.effect.changes)
    assert not np.array_equal(alone.probs, plain.probs)
    unit = int(world.units.data("both").max(axis=(1, 2)).argmax())
    without = world.ask(trial=Trial((Lesion("both", unit, OFF),), drawn))
    np.testing.assert_array_equal(without.effect.probs, alone.probs)
    assert not np.array_equal(without.probs, alone.probs)
    noisy = world.ask(trial=Trial((), NOISE))
    np.testing.assert_array_equal(noisy.effect.probs, plain.probs)
    np.testing.assert_array_equal(world.ask().probs, plain.probs)


def test_a_step_against_the_class_makes_it_less_probable(world):
    plain = world.ask()
    top = int(plain.probs.argmax())
    before = plain.probs[top]
    for size in (0.5, 1, 2):
        result = world.ask(trial=Trial((), Disturbance(ca.STEP, size), "fc"))
        assert result.probs[top] < before
        before = result.probs[top]


def test_a_step_without_classes_says_so(world):
    network = Network(world.net, PREPARE, None, 1)
    result = network(NetRequest(world.frame, "fc", trial=Trial((), Disturbance(ca.STEP, 2))))
    assert result.effect.note == trials.NO_CLASS
    assert result.effect.probs is None


def test_the_mean_is_over_the_frames_seen_and_stays_as_long_as_the_lesion(world):
    unit, seen = 2, []
    for number in (1, 2, 3):
        result = world.ask("both", frame=make_frame(number))
        world.ask("both", frame=result.request.frame)  # the same frame counts once
        seen.append(result.activations[unit].mean())
    trial = Trial((Lesion("both", unit, MEAN),))
    held = world.ask("both", frame=result.request.frame, trial=trial)
    mean = float(np.mean(seen))
    np.testing.assert_allclose(held.activations[unit], mean, rtol=1e-5)
    assert held.effect.held == ((trial.lesions[0], f"both:2 at its mean {mean:.3g} over 3 frames"),)
    again = world.ask("both", frame=make_frame(4), trial=trial)
    assert again.activations[unit, 0, 0] == held.activations[unit, 0, 0]
    world.ask("both", frame=make_frame(5))
    later = world.ask("both", frame=make_frame(5), trial=trial)
    assert later.activations[unit, 0, 0] != held.activations[unit, 0, 0]


def test_of_a_layer_never_looked_at_the_mean_is_of_this_frame(world):
    plain = world.ask("both").activations[1].mean()
    network = Network(world.net, PREPARE, "prob", 1)
    network(NetRequest(world.frame, "fc"))
    trial = Trial((Lesion("both", 1, MEAN),))
    held = network(NetRequest(world.frame, "both", trial=trial))
    np.testing.assert_allclose(held.activations[1], plain, rtol=1e-5)


def test_back_passes_of_a_trial_are_its_own(world):
    unit = strongest(world, "both")
    back = Back("grad", Origin("fc", int(world.ask().probs.argmax())))
    plain = world.ask(back=back).back_image
    trial = Trial((Lesion("both", unit, OFF),))
    changed = world.ask(back=back, trial=trial).back_image
    assert np.abs(changed - plain).max() > 0
    np.testing.assert_array_equal(world.ask(back=back).back_image, plain)


def test_an_engine_that_holds_no_units_says_so():
    network = Network(FakeNet(), PREPARE.__class__(3, 8, 8, (2, 1, 0), None), "prob", 1)
    frame = make_frame(1)
    plain = network(NetRequest(frame, "conv"))
    result = network(NetRequest(frame, "conv", trial=Trial((Lesion("conv", 1, OFF),))))
    assert result.effect.note == trials.NO_LESIONS and result.effect.held == ()
    np.testing.assert_array_equal(result.probs, plain.probs)


def test_after_an_error_in_a_trial_the_frame_is_computed_anew(world, monkeypatch):
    plain = world.ask().probs
    forward = world.net.forward

    def fail(*_, **__):
        raise caffe.CaffeError("out of order")

    monkeypatch.setattr(world.net, "forward", fail)
    with pytest.raises(caffe.CaffeError):
        world.ask(trial=Trial((Lesion("both", 1, OFF),), NOISE))
    monkeypatch.setattr(world.net, "forward", forward)
    np.testing.assert_array_equal(world.ask().probs, plain)
