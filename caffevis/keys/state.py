"""What the Caffe app's keys change: a frozen value (`transitions.py` has the changes).

Nothing here draws, computes or waits, so every key can be tested without a
window or a network. What must be computed follows from the state (`origin`,
`wants_back`); whether it has been is told by comparing requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from caffevis.keys.causes import Causes
from toolbox.drawing.palettes import GRAY_MAP

GRAD, DECONV, GUIDED = "grad", "deconv", "guided"
BACK_MODES = (GRAD, DECONV, GUIDED)
RAW, GRAY, NORM, NORMBLUR = "raw", "gray", "norm", "normblur"
BACK_FILTERS = (RAW, GRAY, NORM, NORMBLUR)

OVERLAY_OFF, OVER_ACTIVE, OVER_INACTIVE = "off", "over active", "over inactive"
OVER_CAM = "Grad-CAM"
OVERLAYS = (OVERLAY_OFF, OVER_ACTIVE, OVER_INACTIVE, OVER_CAM)

# What of the whole layer lies over the input.
WHOLE_OFF, COMPONENTS, SIMILARITY = "off", "principal components", "similarity"
WHOLES = (WHOLE_OFF, COMPONENTS, SIMILARITY)

STRONGEST = -1  # in place of an origin's unit: the one of highest value

ZOOM_ALL, ZOOM_UNIT, ZOOM_BACK, ZOOM_IMAGE = range(4)

# Which units' images are made while one looks.
MAKE_NONE, MAKE_MISSING, MAKE_ALL = "none", "missing", "all"


@dataclass(frozen=True)
class Layer:
    """A layer that can be viewed.

    Parameters
    ----------
    name : str
        The blob's name.
    label : str
        What the list of layers calls it.
    units : int
        Channels, or values of a vector.
    rows, columns : int
        Shape of the grid of units.
    block, part : str
        Its block in the list, and what it is called below the block's name; see `net.blocks`.
    repeats : bool
        Whether its picture is another layer's over again, as BatchNorm's is.
    size : tuple of int
        Height and width of a unit's map; empty for units of one value.
    """

    name: str
    label: str
    units: int
    rows: int
    columns: int
    block: str = ""
    part: str = ""
    repeats: bool = False
    size: tuple[int, ...] = ()

    @property
    def values(self) -> int:
        """How many values a unit has."""
        return math.prod(self.size)


@dataclass(frozen=True)
class Origin:
    """The unit that a back pass starts from."""

    layer: str
    unit: int


@dataclass(frozen=True)
class Options:
    """What the state needs of the settings and the network; the same during a run."""

    boost_indiv: tuple[float, ...] = (0.0,)
    boost_gamma: tuple[float, ...] = (1.0,)
    indiv_index: int = 0
    gamma_index: int = 0
    fast: int = 3
    show_labels: bool = True
    show_unit_jpgs: bool = True
    back_modes: tuple[str, ...] = BACK_MODES
    make: str = MAKE_NONE
    fills: bool = False
    class_layer: str | None = None  # whose strongest unit Grad-CAM speaks of, where none is kept


@dataclass(frozen=True)
class State:
    """Everything that the user has chosen.

    Parameters
    ----------
    layers : tuple of Layer
        At least one.
    options : Options
        Choices and defaults.
    layer_index, unit : int
        The selection.
    in_units : bool
        Whether the cursor is on the units, else in the list of layers.
    zoom : int
        One of `zooms`.
    back_on : bool
        Whether back passes are computed.
    back_mode, back_filter : str
        Of `BACK_MODES` and `BACK_FILTERS`.
    frozen : Origin or None
        The unit kept as origin while the cursor moves on.
    show_back : bool
        Units show back diffs instead of activations.
    indiv_index, gamma_index : int
        Indices into the boost choices.
    show_labels : bool
        Whether class probabilities are shown.
    pattern_mode : bool
        Units show their optimised images instead of activations.
    show_unit_jpgs : bool
        Whether the images of the selected unit are shown.
    show_card : bool
        Of these, the unit's card is shown: patches at several levels, and what is known of it.
    colour_map : str
        Of `palettes.PALETTES`, for activations.
    overlay : str
        Of `OVERLAYS`: how the selected unit's activation, or Grad-CAM, lies over the input.
    whole : str
        Of `WHOLES`: what of the whole layer lies over the input, in place of the overlay.
    place : (float, float) or None
        Where the input was clicked on: down and across, from 0 to 1.
    show_weights : bool
        The layer's weights are shown in place of its units.
    show_field : bool
        The receptive field of the unit's strongest place is framed in the input.
    show_top : bool
        The strongest units and the selected unit's strongest places are marked.
    histogram : bool
        The selected unit's values are counted over the frames, and shown.
    folded : bool
        Layers that repeat another's picture are left out of the list.
    filter : str
        Only layers with this in their name are listed; upper and lower case are the same.
    typing : bool
        Keys are letters of the filter.
    seeks_strongest : bool
        The unit with the highest activation is to be selected, once it is known.
    make : str
        `MAKE_NONE`, `MAKE_MISSING` or `MAKE_ALL`: for which units images are made live.
    recipe : int
        How; each number is the next way, round and round.
    from_picture : bool
        Whether they start from the picture on the screen, and stay near it.
    keeps : int
        How many times the selected unit's pictures were to be kept.
    has_image : bool
        Whether the selected unit has images already, or that is not known yet.
    causes : Causes
        Lesions, a disturbance, and what is asked about causes.
    """

    layers: tuple[Layer, ...]
    options: Options = Options()
    layer_index: int = 0
    unit: int = 0
    in_units: bool = False
    zoom: int = ZOOM_ALL
    back_on: bool = False
    back_mode: str = GRAD
    back_filter: str = RAW
    frozen: Origin | None = None
    show_back: bool = False
    indiv_index: int = 0
    gamma_index: int = 0
    show_labels: bool = True
    pattern_mode: bool = False
    show_unit_jpgs: bool = True
    show_card: bool = False
    colour_map: str = GRAY_MAP
    overlay: str = OVERLAY_OFF
    whole: str = WHOLE_OFF
    place: tuple[float, float] | None = None
    show_weights: bool = False
    show_field: bool = False
    show_top: bool = False
    histogram: bool = False
    folded: bool = False
    filter: str = ""
    typing: bool = False
    seeks_strongest: bool = False
    make: str = MAKE_NONE
    recipe: int = 0
    from_picture: bool = False
    keeps: int = 0
    has_image: bool = True
    causes: Causes = Causes()

    @property
    def listed(self) -> tuple[int, ...]:
        """The indices of the layers in the list: all, but for those folded or filtered out."""
        return _listed(self.layers, self.folded, self.filter.lower())

    @property
    def layer(self) -> Layer:
        """The selected layer."""
        return self.layers[self.layer_index]

    @property
    def selected(self) -> Origin:
        """The selected unit."""
        return Origin(self.layer.name, self.unit)

    @property
    def origin(self) -> Origin:
        """The unit that back passes start from: the frozen one, or the selected one."""
        return self.frozen or self.selected

    @property
    def wants_back(self) -> bool:
        """Whether a back pass is to be computed: on, and a unit is chosen for it."""
        return self.back_on and (self.in_units or self.frozen is not None)

    @property
    def ascends(self) -> bool:
        """Whether images of the selected unit are made while one looks."""
        wanted = self.make == MAKE_ALL or (self.make == MAKE_MISSING and not self.has_image)
        return wanted and self.in_units

    @property
    def fills(self) -> bool:
        """Whether units without an image get one while the images of a layer are shown."""
        return self.options.fills or self.make != MAKE_NONE

    @property
    def zooms(self) -> tuple[int, ...]:
        """What the layers pane can show: all units, one, its growing image, the back result."""
        more = (ZOOM_IMAGE,) * self.ascends + (ZOOM_BACK,) * self.back_on
        return (ZOOM_ALL, ZOOM_UNIT, *more)

    @property
    def wants_fields(self) -> bool:
        """Whether something is drawn over the input, for which receptive fields are needed."""
        marked = self.overlay != OVERLAY_OFF or self.show_field or self.show_top
        over_all = self.overlay == OVER_CAM or self.whole != WHOLE_OFF
        return (marked and self.in_units) or over_all

    @property
    def wants_components(self) -> bool:
        """Whether the layer's principal components are to be computed."""
        return self.whole == COMPONENTS

    @property
    def cam_origin(self) -> Origin | None:
        """The unit of which Grad-CAM is wanted: the kept one, or the strongest class."""
        if self.overlay != OVER_CAM:
            return None
        layer = self.options.class_layer
        return self.frozen or (None if layer is None else Origin(layer, STRONGEST))

    @property
    def wants_histogram(self) -> bool:
        """Whether the selected unit's values are counted: asked for, and a unit is chosen."""
        return self.histogram and self.in_units

    @property
    def boost_indiv(self) -> float:
        """The chosen boost of single units; 0 changes nothing."""
        return self.options.boost_indiv[self.indiv_index]

    @property
    def boost_gamma(self) -> float:
        """The chosen power; 1 changes nothing."""
        return self.options.boost_gamma[self.gamma_index]


@lru_cache(maxsize=8)
def _listed(layers: tuple[Layer, ...], folded: bool, text: str) -> tuple[int, ...]:
    return tuple(
        index
        for index, layer in enumerate(layers)
        if not (folded and layer.repeats) and text in f"{layer.name} {layer.label}".lower()
    )


def first_state(layers: tuple[Layer, ...], options: Options) -> State:
    """Return the state at the start, which is also what `reset` goes back to."""
    return State(
        layers,
        options,
        indiv_index=options.indiv_index,
        gamma_index=options.gamma_index,
        show_labels=options.show_labels,
        show_unit_jpgs=options.show_unit_jpgs,
        make=options.make,
    )
