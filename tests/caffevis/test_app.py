"""The app with a stand-in network: frames, requests and what is shown together."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from caffevis import opened
from caffevis.app import CaffeVisApp
from caffevis.from_settings import namer, read_labels
from settings import TABLE
from toolbox.settings import config
from toolbox.settings.config import SettingsError

BY_KEY = {key: row for row in CaffeVisApp.bindings for key in row.keys}
DEFAULTS = config.load(TABLE, None).replaced(
    pane_headings=False,
    caffevis_start=None,
    caffevis_data_mean=None,
    caffevis_labels=None,
    caffevis_label_layers=None,
)


@pytest.fixture
def app(net):
    app = CaffeVisApp(DEFAULTS, lambda: 0.0, net)
    app.start()
    yield app
    assert app.close()


def settle(app: CaffeVisApp) -> None:
    deadline = time.monotonic() + 10
    app.update()
    while not app.settled():
        assert time.monotonic() < deadline
        app.wait(0.05)
        app.update()


def press(app: CaffeVisApp, keys: str) -> None:
    for key in keys.split():
        app.handle(BY_KEY[key])


def test_what_comes_in_each_frame_is_kept_in_the_heap(net, monkeypatch):
    told = []
    monkeypatch.setattr(opened, "keep_apart", told.append)
    CaffeVisApp(DEFAULTS, lambda: 0.0, net)
    assert told == [max(4 * blob.data.size for blob in net.blobs.values())]


def test_layers_come_from_the_network(app):
    assert [layer.name for layer in app.state.layers] == ["conv", "fc", "prob"]


def test_without_a_frame_there_is_nothing_to_wait_for(app):
    assert app.settled()
    assert app.shown_frame() is None
    panes = [drawing.pane for drawing in app.drawings()]
    assert panes == ["caffevis_control", "caffevis_jpgvis"]


def test_the_keys_go_round_the_back_modes_that_the_network_has(app, guided_net):
    guided = CaffeVisApp(DEFAULTS, lambda: 0.0, guided_net)
    for one, modes in ((app, ["grad", "deconv"]), (guided, ["grad", "deconv", "guided"])):
        seen = []
        for _ in modes:
            press(one, "n")
            seen.append(one.state.back_mode)
        assert seen == modes
        press(one, "n")
        assert not one.state.back_on


def test_a_frame_is_computed_once_and_shown_with_its_activations(app, net, make_frame):
    frame = make_frame(value=9)
    app.set_frame(frame)
    settle(app)
    for _ in range(5):
        app.update()
    assert net.calls == [("forward",)]
    assert app.shown_frame() is frame
    assert np.all(app.result.activations[0] == 9)
    assert app.frames_done() == 1


def test_keys_change_the_view_without_a_forward_pass(app, net, make_frame):
    app.set_frame(make_frame())
    settle(app)
    press(app, "o down right")
    settle(app)
    assert app.result.request.layer == "fc"
    assert net.calls == [("forward",)]
    press(app, "b")
    settle(app)
    assert net.calls == [("forward",), ("grad", "fc")]
    assert app.result.back_image is not None


def test_picture_and_activations_belong_together_while_frames_come(app, net, make_frame):
    net.delay = 0.003
    for number in range(1, 60):
        app.set_frame(make_frame(number, value=number))
        app.update()
        if number % 7 == 0:
            press(app, "o" if number % 2 else "u")
        if app.result is not None:
            request = app.result.request
            assert app.shown_frame() is request.frame
            value = request.frame.image[0, 0, 0]
            if request.layer == "conv":
                assert np.all(app.result.activations[0] == value)
            elif request.layer == "fc":
                assert app.result.activations[0] == value
        time.sleep(0.001)
    settle(app)
    assert app.shown_frame().id == 59


def test_the_next_frame_is_prepared_once_while_the_network_is_busy(app, net, make_frame):
    where, prepare = [], app._network.prepare

    def noted(frame):
        where.append((frame.id, threading.current_thread() is threading.main_thread()))
        return prepare(frame)

    app._network.prepare = noted
    net.delay = 0.2
    app.set_frame(make_frame(1, value=1))
    app.update()
    deadline = time.monotonic() + 10
    while net.calls != [("forward",)]:
        assert time.monotonic() < deadline
    app.set_frame(make_frame(2, value=2))
    app.update()
    press(app, "o")
    settle(app)
    press(app, "u")
    settle(app)
    assert where == [(1, False), (2, True)]
    assert np.all(app.result.activations[0] == 2)


def test_keys_act_at_once_while_the_network_computes(app, net, make_frame):
    app.set_frame(make_frame())
    settle(app)
    net.delay = 0.5
    app.set_frame(make_frame(2))
    app.update()
    began = time.perf_counter()
    press(app, "down right right")
    views = {drawing.pane: drawing.inputs for drawing in app.drawings()}
    assert time.perf_counter() - began < 0.25
    assert views["caffevis_layers"].unit == 2
    assert app.shown_frame().id == 1


@pytest.fixture
def taken(app, monkeypatch) -> list:
    """The requests of all results that the app took, in order."""
    requests, take = [], app._take
    monkeypatch.setattr(app, "_take", lambda got: (requests.append(got.request), take(got)))
    return requests


def test_a_change_of_view_goes_before_the_next_frame(app, net, make_frame, taken):
    gate, begun = threading.Event(), threading.Event()
    forward = net.forward

    def gated() -> None:
        begun.set()
        gate.wait(10)
        forward()

    net.forward = gated
    app.set_frame(make_frame(1))
    app.update()
    assert begun.wait(10)
    app.set_frame(make_frame(2))
    app.update()
    press(app, "o")
    gate.set()
    settle(app)
    assert [(one.frame.id, one.layer) for one in taken] == [(1, "fc"), (2, "fc")]


def test_another_layer_is_shown_at_once_and_its_back_pass_follows(app, net, make_frame, taken):
    app.set_frame(make_frame(1))
    press(app, "o down b")
    settle(app)
    net.calls.clear()
    net.delay = 0.1
    app.set_frame(make_frame(2))
    app.update()
    deadline = time.monotonic() + 10
    while not net.calls:
        assert time.monotonic() < deadline
    press(app, "u")
    del taken[:]
    settle(app)
    assert [(one.layer, one.back is None) for one in taken] == [("conv", True), ("conv", False)]
    assert app.result.back_image is not None
    # The old view's back pass is not made any more: the key goes first.
    assert [call[0] for call in net.calls] == ["forward", "grad"]


def test_an_error_becomes_a_message_and_the_app_goes_on(app, net, make_frame, caplog):
    from caffevis.model.opening import EngineError

    net.fail = EngineError("the net is upside down")
    app.set_frame(make_frame(1))
    settle(app)
    assert app.message() == "the net is upside down"
    net.fail = None
    app.set_frame(make_frame(2))
    settle(app)
    assert app.message() == ""
    assert app.shown_frame().id == 2
    assert not caplog.records


def test_pretty_names_come_from_dict_and_function():
    settings = DEFAULTS.replaced(
        caffevis_layer_pretty_name_dict={"pool1": "first"},
        caffevis_layer_pretty_name_fn=str.upper,
    )
    assert namer(settings)("pool1") == "FIRST"
    assert namer(settings)("pool2") == "POOL2"


def test_labels_that_cannot_be_read_are_one_sentence(tmp_path):
    (tmp_path / "labels.txt").write_text("one\n\n  two \n", encoding="utf-8")
    assert read_labels(str(tmp_path / "labels.txt")) == ("one", "two")
    with pytest.raises(SettingsError, match="caffevis_labels: .*no such file"):
        read_labels(str(tmp_path / "none.txt"))


def test_a_probability_layer_that_is_missing_is_noted(net):
    with pytest.warns(UserWarning, match="did you mean 'prob'"):
        CaffeVisApp(DEFAULTS.replaced(caffevis_prob_layer="probs"), lambda: 0.0, net)


def test_a_default_boost_beyond_the_choices_is_one_sentence(net):
    with pytest.raises(SettingsError, match="caffevis_boost_gamma_default_idx is 9"):
        CaffeVisApp(DEFAULTS.replaced(caffevis_boost_gamma_default_idx=9), lambda: 0.0, net)


def test_without_numbers_the_app_settles_and_names_the_first_layer(net, make_frame):
    plain = net.forward

    def broken() -> None:
        plain()
        for name in ("fc", "prob"):
            net.blobs[name].data[0] = [np.nan, 1, np.inf, 0, -np.inf]

    net.forward = broken
    net.params = {"fc": [net.blobs["fc"]]}
    app = CaffeVisApp(DEFAULTS.replaced(caffevis_prob_layer="prob"), lambda: 0.0, net)
    app.start()
    sentence = "fc is the first layer without numbers: it has NaN or infinite values, as its"
    with pytest.warns(UserWarning, match=sentence):
        app.set_frame(make_frame())
        settle(app)
        for keys in ("", "o", "down", "right", "x", "g", "n", "a", "t", "y", "z", "z", "esc"):
            press(app, keys)
            settle(app)
            first, second = app.drawings(), app.drawings()
            # An inequality would have it drawn again without end.
            assert [one.inputs for one in first] == [two.inputs for two in second]
            for drawing in first:
                drawing.draw(np.zeros((300, 300, 3), np.uint8), drawing.inputs)
            assert sentence in app.message()
    assert app.close()


def test_the_key_goes_to_the_strongest_unit_also_of_a_layer_still_computed(app, net, make_frame):
    app.set_frame(make_frame(value=9))
    settle(app)
    press(app, "4")
    assert (app.state.unit, app.state.in_units) == (2, True)  # twice the mean
    net.delay = 0.05
    press(app, "o 4")
    settle(app)
    assert (app.state.layer.name, app.state.unit) == ("fc", 0)
    assert app.settled()


def test_a_click_on_a_class_goes_to_its_unit(app, make_frame):
    from toolbox.window.pointer import CLICK, Pointer

    app.set_frame(make_frame(value=9))
    settle(app)
    look = app._look
    step = look.class_style.height() + look.class_spacing
    shown = [line.number for line in app._aux_view(app._shown).lines]
    assert shown[0] == 0
    for line, number in enumerate(shown):
        press(app, "esc")
        settle(app)
        row = look.class_place[1] + line * step - 4
        app.point(Pointer(CLICK, "caffevis_aux", row, 40, (300, 300)))
        settle(app)
        assert (app.state.layer.name, app.state.unit, app.state.in_units) == ("fc", number, True)
    press(app, "esc")
    settle(app)
    app.point(Pointer(CLICK, "caffevis_aux", 290, 40, (300, 300)))  # below the list
    assert not app.state.in_units


def test_letters_are_a_filter_while_it_is_typed_and_arrows_still_move(app):
    press(app, "3")
    assert [app.type(key) for key in ("p", "r")] == [True, True]
    assert (app.state.filter, app.state.layer.name) == ("pr", "prob")
    assert not app.type("down")
    assert app.type("enter")
    assert not app.type("p")


def test_panes_say_what_they_show(net, make_frame):
    app = CaffeVisApp(DEFAULTS.replaced(pane_headings=True), lambda: 0.0, net)
    app.start()
    app.set_frame(make_frame(value=9))
    settle(app)
    press(app, "down right n")
    settle(app)
    texts = {drawing.pane: getattr(drawing.inputs, "text", "") for drawing in app.drawings()}
    assert texts["caffevis_layers"] == "conv: 4 units of 4 x 4"  # its field is not known here
    assert texts["caffevis_aux"] == "conv:1"
    assert texts["caffevis_back"] == "grad from conv:1, raw"
    assert app.close()


def test_a_silent_unit_says_so(app, make_frame):
    from caffevis.panes import back, layers

    app.set_frame(make_frame(value=9))
    settle(app)
    press(app, "down right n")  # unit 1 is the negative of the mean, so 0 behind its ReLU
    settle(app)
    view = layers.view(app.state, app.result, app._look)
    assert layers.silence(view) == "conv:1 is silent in this picture: 0 everywhere"
    canvas = np.zeros((300, 300, 3), np.uint8)
    back.draw(canvas, back.view(app.state, app.result, app._look))
    assert "nothing goes back from conv:1" in back._nothing(app.result)
    assert len(np.unique(canvas)) > 20  # a sentence, not one gray
    press(app, "right")
    settle(app)
    assert layers.silence(layers.view(app.state, app.result, app._look)) == ""
