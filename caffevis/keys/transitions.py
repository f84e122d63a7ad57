"""What the Caffe app's keys do: pure functions from one state to the next."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace

from caffevis.keys.state import (
    BACK_FILTERS,
    DECONV,
    GRAD,
    MAKE_ALL,
    MAKE_NONE,
    NORM,
    OVERLAYS,
    RAW,
    SIMILARITY,
    WHOLES,
    ZOOM_ALL,
    ZOOM_BACK,
    ZOOM_IMAGE,
    ZOOM_UNIT,
    State,
    first_state,
)
from toolbox.drawing.palettes import PALETTES

# The short way round: off, then these, then off again.
EZ_LOOP = ((GRAD, RAW), (GRAD, NORM), (DECONV, RAW))


def reset(state: State) -> State:
    """End the ascent; where there is none, back off, layer 0, unit 0, default boost."""
    if state.ascends:
        return replace(state, make=MAKE_NONE)
    return first_state(state.layers, state.options)


def _at_layer(state: State, index: int) -> State:
    index = min(max(index, 0), len(state.layers) - 1)
    return replace(state, layer_index=index, unit=min(state.unit, state.layers[index].units - 1))


def _along(state: State, distance: int) -> State:
    """Go along the list; from a layer that is not in it, to the nearest one that way."""
    listed = state.listed
    if not listed:
        return state
    begin = bisect_left(listed, state.layer_index)
    if distance > 0 and state.layer_index not in listed:
        begin -= 1
    return _at_layer(state, listed[min(max(begin + distance, 0), len(listed) - 1)])


def previous_layer(state: State) -> State:
    """Select the layer before; the cursor stays where it is."""
    return _along(state, -1)


def next_layer(state: State) -> State:
    """Select the layer after; the cursor stays where it is."""
    return _along(state, 1)


def _block_starts(state: State) -> list[int]:
    """List the first layer of each block; a layer without a block is one of its own."""
    starts, before = [], ""
    for index in state.listed:
        block = state.layers[index].block
        if not block or block != before:
            starts.append(index)
        before = block
    return starts


def previous_block(state: State) -> State:
    """Select the first layer of the block, or from there the one of the block before."""
    before = [index for index in _block_starts(state) if index < state.layer_index]
    return _at_layer(state, before[-1]) if before else state


def next_block(state: State) -> State:
    """Select the first layer of the next block; in the last one, its last layer."""
    behind = [index for index in _block_starts(state) if index > state.layer_index]
    last = state.listed[-1] if state.listed else state.layer_index
    return _at_layer(state, behind[0] if behind else max(last, state.layer_index))


def _listing(state: State) -> State:
    """Go to the nearest listed layer where the current one is not listed any more."""
    listed = state.listed
    if not listed or state.layer_index in listed:
        return state
    return _at_layer(state, min(listed, key=lambda index: abs(index - state.layer_index)))


def toggle_folded(state: State) -> State:
    """List all layers, or leave out those that repeat another's picture."""
    return _listing(replace(state, folded=not state.folded))


def open_filter(state: State) -> State:
    """Take the next keys as letters of the filter, beginning with an empty one."""
    return replace(state, typing=True, filter="")


def type_filter(state: State, key: str) -> State:
    """Change the filter as a key says: a letter, `backspace`, `enter` to keep it, `esc` to end it.

    Parameters
    ----------
    state : State
        With `typing`.
    key : str
        A key's label; other keys than these change nothing.
    """
    if key == "enter":
        return replace(state, typing=False)
    if key == "esc":
        return replace(state, typing=False, filter="")
    if key == "backspace":
        return _listing(replace(state, filter=state.filter[:-1]))
    letter = " " if key == "space" else key
    return _listing(replace(state, filter=state.filter + letter)) if len(letter) == 1 else state


def seek_strongest(state: State) -> State:
    """Go to the unit with the highest activation, as soon as it is known."""
    return replace(state, seeks_strongest=True)


def found_strongest(state: State, unit: int | None) -> State:
    """Select the strongest unit; None where all are alike, and the cursor stays."""
    state = replace(state, seeks_strongest=False)
    return state if unit is None else select_unit(state, unit)


def _sideways(state: State, distance: int) -> State:
    if not state.in_units:
        return _along(state, distance)
    return replace(state, unit=min(max(state.unit + distance, 0), state.layer.units - 1))


def _down(state: State, rows: int) -> State:
    if not state.in_units:
        return replace(state, in_units=True)
    columns, last = state.layer.columns, state.layer.units - 1
    return replace(state, unit=min(state.unit + rows * columns, last))


def _up(state: State, rows: int) -> State:
    if not state.in_units:
        return state
    row, column = divmod(state.unit, state.layer.columns)
    if row < rows:
        return replace(state, in_units=False, unit=column)
    return replace(state, unit=state.unit - rows * state.layer.columns)


def select_layer(state: State, index: int) -> State:
    """Go to a layer in the list of layers."""
    return replace(_at_layer(state, index), in_units=False)


def select_unit(state: State, unit: int) -> State:
    """Go to a unit of the layer; where the layer has none, nothing changes."""
    return replace(state, unit=unit, in_units=True) if unit < state.layer.units else state


def left(state: State) -> State:
    """Go one layer or unit to the left."""
    return _sideways(state, -1)


def right(state: State) -> State:
    """Go one layer or unit to the right."""
    return _sideways(state, 1)


def up(state: State) -> State:
    """Go one row up, from the top row into the list of layers."""
    return _up(state, 1)


def down(state: State) -> State:
    """Go one row down, from the list of layers into the units."""
    return _down(state, 1)


def left_fast(state: State) -> State:
    """Go several layers or units to the left."""
    return _sideways(state, -state.options.fast)


def right_fast(state: State) -> State:
    """Go several layers or units to the right."""
    return _sideways(state, state.options.fast)


def up_fast(state: State) -> State:
    """Go several rows up."""
    return _up(state, state.options.fast)


def down_fast(state: State) -> State:
    """Go several rows down."""
    return _down(state, state.options.fast)


def _zoom_at(state: State) -> int:
    """Return the place of the zoom among those that there are."""
    return state.zooms.index(state.zoom if state.zoom in state.zooms else ZOOM_UNIT)


def _zoomed(state: State, at: int) -> State:
    return replace(state, zoom=state.zooms[at])


def next_zoom(state: State) -> State:
    """All units, the selected one, its growing image, the back result (those that there are)."""
    return _zoomed(state, (_zoom_at(state) + 1) % len(state.zooms))


def zoom_in(state: State) -> State:
    """Go from all units to the selected one, and on to what is behind it in `next_zoom`."""
    return _zoomed(state, min(_zoom_at(state) + 1, len(state.zooms) - 1))


def zoom_out(state: State) -> State:
    """Go the same way back."""
    return _zoomed(state, max(_zoom_at(state) - 1, 0))


def next_ascent(state: State) -> State:
    """Make images of the selected unit while one looks; where they are made, in the next way."""
    if not state.ascends:
        return replace(state, make=MAKE_ALL, in_units=True)
    return replace(state, make=MAKE_ALL, recipe=state.recipe + 1)


def toggle_from_picture(state: State) -> State:
    """Start the unit's images from the picture on the screen, or again from noise."""
    return replace(state, make=MAKE_ALL, in_units=True, from_picture=not state.from_picture)


def keep_images(state: State) -> State:
    """Keep what was made of the selected unit."""
    return replace(state, keeps=state.keeps + 1)


def consistent(state: State, has_image: bool) -> State:
    """Note whether the selected unit has images, and leave a zoom that there is no more."""
    state = replace(state, has_image=has_image)
    lost = state.zoom == ZOOM_IMAGE and not state.ascends
    return replace(state, zoom=ZOOM_UNIT) if lost else state


def _back_off(state: State) -> State:
    """Turn back passes off, and with them what only shows their results."""
    zoom = ZOOM_ALL if state.zoom == ZOOM_BACK else state.zoom
    return replace(state, back_on=False, zoom=zoom)


def next_ez_back(state: State) -> State:
    """Go round off, grad raw, grad norm, deconv raw."""
    at = (state.back_mode, state.back_filter)
    step = EZ_LOOP.index(at) + 1 if state.back_on and at in EZ_LOOP else 0
    if state.back_on and (at not in EZ_LOOP or step == len(EZ_LOOP)):
        return _back_off(state)
    mode, filtered = EZ_LOOP[step]
    return replace(state, back_on=True, back_mode=mode, back_filter=filtered)


def next_back_mode(state: State) -> State:
    """Go round off, grad, deconv, guided, as far as the network offers them."""
    modes = state.options.back_modes
    step = modes.index(state.back_mode) + 1 if state.back_on else 0
    if step == len(modes):
        return _back_off(state)
    return replace(state, back_on=True, back_mode=modes[step])


def next_back_filter(state: State) -> State:
    """Go round raw, gray, norm, normblur."""
    index = (BACK_FILTERS.index(state.back_filter) + 1) % len(BACK_FILTERS)
    return replace(state, back_filter=BACK_FILTERS[index])


def toggle_frozen(state: State) -> State:
    """Keep the selected unit as the origin, or release it."""
    return replace(state, frozen=None if state.frozen else state.selected)


def toggle_show_back(state: State) -> State:
    """Show activations or back diffs; back passes are turned on for these.

    In pattern mode, that is left first, for what was shown before.
    """
    show = state.show_back if state.pattern_mode else not state.show_back
    return replace(state, pattern_mode=False, show_back=show, back_on=state.back_on or show)


def toggle_patterns(state: State) -> State:
    """Show the units' optimised images, or again activations or back diffs."""
    return replace(state, pattern_mode=not state.pattern_mode)


def next_gamma(state: State) -> State:
    """Take the next power."""
    return replace(state, gamma_index=(state.gamma_index + 1) % len(state.options.boost_gamma))


def next_indiv(state: State) -> State:
    """Take the next boost of single units."""
    return replace(state, indiv_index=(state.indiv_index + 1) % len(state.options.boost_indiv))


def toggle_labels(state: State) -> State:
    """Show or hide the class probabilities."""
    return replace(state, show_labels=not state.show_labels)


def toggle_unit_jpgs(state: State) -> State:
    """Show or hide the images of the selected unit."""
    return replace(state, show_unit_jpgs=not state.show_unit_jpgs)


def toggle_card(state: State) -> State:
    """Show the selected unit's card in place of its images, or these again."""
    show = not (state.show_card and state.show_unit_jpgs)
    return replace(state, show_card=show, show_unit_jpgs=True)


def next_colour_map(state: State) -> State:
    """Go round the colour maps for activations."""
    names = list(PALETTES)
    step = (names.index(state.colour_map) + 1) % len(names)
    return replace(state, colour_map=names[step])


def next_overlay(state: State) -> State:
    """Go round no overlay, over active, over inactive, Grad-CAM."""
    step = (OVERLAYS.index(state.overlay) + 1) % len(OVERLAYS)
    return replace(state, overlay=OVERLAYS[step])


def next_whole(state: State) -> State:
    """Go round nothing of the whole layer, its components, and likeness to a place."""
    step = (WHOLES.index(state.whole) + 1) % len(WHOLES)
    return replace(state, whole=WHOLES[step])


def toggle_weights(state: State) -> State:
    """Show the layer's weights in place of its units, or the units again."""
    return replace(state, show_weights=not state.show_weights, pattern_mode=False)


def pick_place(state: State, place: tuple[float, float] | None) -> State:
    """Show how alike every place of the layer is to one of the input; None changes nothing."""
    return state if place is None else replace(state, whole=SIMILARITY, place=place)


def toggle_field(state: State) -> State:
    """Frame the receptive field of the unit's strongest place, or do not."""
    return replace(state, show_field=not state.show_field)


def toggle_top(state: State) -> State:
    """Mark the strongest units and places, or do not."""
    return replace(state, show_top=not state.show_top)


def toggle_histogram(state: State) -> State:
    """Begin to count the unit's values and show them, or stop."""
    return replace(state, histogram=not state.histogram)
