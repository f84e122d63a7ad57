"""From a request to a task: the layers, the view and the window that it needs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torchcaffe as caffe
from optimize.ascent import objectives
from optimize.ascent.objectives import Look, Objective, check_channel, check_place
from optimize.errors import OptimizeError
from optimize.net.crops import Crops, View
from optimize.net.section import Part, find_part, unknown_layer
from optimize.parametrise import registry as parametrisations
from optimize.parametrise.pixels import Pixels
from optimize.params import FindParams
from optimize.regularise.regularisers import Regulariser
from torchcaffe.layers.base import Span
from torchcaffe.regions import Region

# Where the window takes more than this share of the image, an image of pixels is computed as a
# whole: what is saved beside it is little, and it then is the original's to its last pixel.
_WORTH_A_WINDOW = 1 / 3


@dataclass(frozen=True, eq=False)
class Task:
    """A request with everything looked up that decides which others it can share a batch with.

    Parameters
    ----------
    params : FindParams
        The request.
    view : View
        How the net looks.
    window : Region
        What is computed of the image.
    objective : Objective or None
        None: the single unit.
    layer : str
        The layer whose strongest unit is recorded.
    look : Look
        The pushed position in the map of each layer that is read.
    part : Part
        The layers of the net that it needs.
    """

    params: FindParams
    layer: str
    view: View
    window: Region
    objective: Objective | None
    look: Look
    part: Part

    def key(self) -> Hashable:
        """Return what members of one batch have in common."""
        held = self.params.parametrisation, self.params.max_iter
        return id(self.view), self.layer, self.window, self.objective, *held


class Planner:
    """Looks requests up in a net.

    Parameters
    ----------
    net : torchcaffe.Net
        The net.
    shape : (int, int, int)
        Channels, height and width of the image.
    regularisers : sequence of type
        The ordered list.
    tried : bool
        As for `Crops`.
    """

    def __init__(
        self,
        net: caffe.Net,
        shape: tuple[int, int, int],
        regularisers: Sequence[type[Regulariser]],
        *,
        tried: bool = True,
    ) -> None:
        self.net, self.shape, self.regularisers = net, shape, regularisers
        self._crops = Crops(net, tried=tried)
        self._parts: dict[frozenset[str], Part] = {}

    def task(self, params: FindParams) -> Task:
        """Look a request up.

        Raises
        ------
        OptimizeError
            A layer, channel or position does not exist.
        """
        parametrisations.check(params, self.regularisers)
        objective = None if params.objective is None else objectives.parse(params.objective)
        layers = {params.push_layer} if objective is None else objective.layers()
        shapes = {layer: self.maps(layer) for layer in layers}
        if objective is None:
            check_channel(params.push_layer, params.push_channel, shapes[params.push_layer])
        else:
            objective.check(shapes)
        layer = params.push_layer if params.push_layer in shapes else min(shapes)
        place = self.place(layer, params.push_spatial)
        key = frozenset(layers)
        if key not in self._parts:
            self._parts[key] = find_part(self.net, sorted(layers))
        if objective is not None and not objective.is_local():
            view = self._crops.whole(self._parts[key], place)
            look = Look({name: self.place(name, None) for name in layers})
        else:
            view = self._crops.view(self._parts[key], layer, *place, crop=not params.full_image)
            look = Look({layer: (view.row, view.column)})
        return Task(
            params, layer, view, self._window(params, view), objective, look, self._parts[key]
        )

    def maps(self, layer: str) -> tuple[int, ...]:
        """Return a layer's shape, of two or four axes.

        Raises
        ------
        OptimizeError
            There is no such layer, or its shape is another.
        """
        if layer not in self.net.blobs or layer in self.net.inputs:
            raise unknown_layer(self.net, layer)
        shape = tuple(self.net.blobs[layer].shape)
        if layer in self.net.layouts:
            raise OptimizeError(
                f"layer {layer!r} keeps tokens, or has its channels last ({shape}); units are "
                "pushed of layers (batch, channels, rows, columns), such as its convolutions"
            )
        if len(shape) not in (2, 4):
            raise OptimizeError(
                f"layer {layer!r} has the shape {shape}; layers of two axes (batch, channels) or "
                "four (batch, channels, rows, columns) have units that can be pushed"
            )
        return shape

    def place(self, layer: str, spatial: tuple[int, int] | None) -> tuple[int, int]:
        """Return the row and column pushed: those given, or the layer's centre.

        Raises
        ------
        OptimizeError
            The layer has no such position.
        """
        shape = self.maps(layer)
        if spatial is None:
            return (shape[2] // 2, shape[3] // 2) if len(shape) == 4 else (0, 0)
        check_place(layer, spatial, shape)
        return spatial

    def _window(self, params: FindParams, view: View) -> Region:
        height, width = self.shape[1:]
        whole = Region((0, height - 1), (0, width - 1))
        if not view.cropped:
            return whole
        field = (view.field.height, view.field.width)
        used = [r for r in self.regularisers if r.is_on(params)]
        reach = sum(r.reach(params, field) for r in used)
        pixels = params.parametrisation == Pixels.name
        if not pixels:  # all rarely are at their farthest, and then the border is continued
            reach = reach // 2
        rows = _widened(view.region.rows, view.field.rows, reach, height)
        region = Region(rows, _widened(view.region.columns, view.field.columns, reach, width))
        share = region.height * region.width / (height * width)
        return whole if pixels and share > _WORTH_A_WINDOW else region


def _widened(shown: Span, seen: Span, reach: int, size: int) -> Span:
    """Return what is shown, and on both sides `reach` beyond what is seen of it."""
    return min(shown[0], max(0, seen[0] - reach)), max(shown[1], min(size - 1, seen[1] + reach))
