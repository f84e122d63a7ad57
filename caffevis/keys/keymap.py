"""The Caffe app's keys: each row is keys, tag, help and what it does to the state.

HighGUI's Qt reports a shifted letter as the plain one, so every action with a
capital has a second key that Qt can tell apart: `,` `.` `;` `/` for the fast
moves, `[` `]` for the jumps from block to block and `y`, beside `t`, for the other boost.
"""

from __future__ import annotations

from caffevis.keys import transitions as go
from caffevis.keys.causes_rows import ROWS as CAUSES
from caffevis.keys.state import State
from toolbox.app.bindings import Binding

BINDINGS: tuple[Binding[State], ...] = (
    Binding(("left", "j"), "sel_left", "Previous layer, or unit to the left", go.left),
    Binding(("right", "l"), "sel_right", "Next layer, or unit to the right", go.right),
    Binding(("down", "k"), "sel_down", "From the layers into the units, or a row down", go.down),
    Binding(("up", "i"), "sel_up", "A row up, from the top row to the layers", go.up),
    Binding(
        ("J", ","),
        "sel_left_fast",
        "Faster left; the second key where capitals fail",
        go.left_fast,
    ),
    Binding(("L", "."), "sel_right_fast", "Faster right", go.right_fast),
    Binding(("K", "/"), "sel_down_fast", "Faster down", go.down_fast),
    Binding(("I", ";"), "sel_up_fast", "Faster up", go.up_fast),
    Binding(("u",), "sel_layer_left", "Previous layer; the cursor stays", go.previous_layer),
    Binding(("o",), "sel_layer_right", "Next layer; the cursor stays", go.next_layer),
    Binding(("U", "["), "sel_block_left", "Previous block of layers", go.previous_block),
    Binding(("O", "]"), "sel_block_right", "Next block of layers", go.next_block),
    Binding(
        ("-",), "fold_layers", "List all layers, or none that repeats another", go.toggle_folded
    ),
    Binding(
        ("3",),
        "filter_layers",
        "Layers by part of their name: type it, enter",
        go.open_filter,
        takes_text=True,
    ),
    Binding(("4",), "strongest_unit", "Go to the strongest unit of the layer", go.seek_strongest),
    Binding(
        ("z",), "zoom_mode", "All units, the selected one, its growing image, back", go.next_zoom
    ),
    Binding(
        ("2",), "live_ascent", "Make the unit's images now; again: in the next way", go.next_ascent
    ),
    Binding(
        ("7",),
        "from_picture",
        "Make it from the picture shown, or from noise",
        go.toggle_from_picture,
    ),
    Binding(("6",), "keep_images", "Keep the unit's images that were made now", go.keep_images),
    Binding(("s",), "pattern_mode", "Units show their optimised images", go.toggle_patterns),
    Binding(("b",), "ez_back_mode_loop", "Back: off, grad, grad norm, deconv", go.next_ez_back),
    Binding(("n",), "back_mode", "Back: off, grad, deconv, guided", go.next_back_mode),
    Binding(("m",), "back_filt_mode", "Back shown raw, gray, norm, normblur", go.next_back_filter),
    Binding(("d",), "freeze_back_unit", "Keep this unit for back, or release it", go.toggle_frozen),
    Binding(("a",), "show_back", "Units show activations or back diffs", go.toggle_show_back),
    Binding(("t",), "boost_gamma", "Brighter: next power (gamma) for all units", go.next_gamma),
    Binding(("T", "y"), "boost_individual", "Brighter: next boost of weak units", go.next_indiv),
    Binding(
        ("8",), "toggle_label_predictions", "Show or hide class probabilities", go.toggle_labels
    ),
    Binding(("9",), "toggle_unit_jpgs", "Show or hide the unit's images", go.toggle_unit_jpgs),
    Binding(("f3",), "unit_card", "The unit's card: its levels, and in words", go.toggle_card),
    Binding(("1",), "colour_map", "Activations: gray, viridis, plasma, jet", go.next_colour_map),
    Binding(("v",), "input_overlay", "Over input: off, active, inactive, CAM", go.next_overlay),
    Binding(
        ("f6",), "whole_layer", "Layer over input: components, likeness to a click", go.next_whole
    ),
    Binding(("f7",), "weights", "The layer's filters, and its weights' spread", go.toggle_weights),
    Binding(("r",), "receptive_field", "Frame what the unit's best place sees", go.toggle_field),
    Binding(("x",), "top_activations", "Mark the strongest units and places", go.toggle_top),
    Binding(("g",), "histogram", "Histogram of the unit's values over frames", go.toggle_histogram),
    *CAUSES,
    Binding(
        ("esc",), "reset_state", "End the ascent; else back off, first layer, first unit", go.reset
    ),
)
