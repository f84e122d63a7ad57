"""How a batch's members push the net: their objectives, and the diffs to go backward from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from optimize.ascent.objectives import Look, Objective, Values, as_maps, gradients
from optimize.net.crops import View

_NEAR = 0.85  # of the unit's value: from there on another one is held back


@dataclass(frozen=True, eq=False)
class Pushed:
    """What one forward pass says about its images; tensors of n values.

    Parameters
    ----------
    obj : Tensor
        The objective.
    diffs : dict of str to Tensor
        Its gradient by the layers' values.
    strongest : Tensor
        Flat index of the strongest unit, in the layer or at the position.
    channel : Tensor
        The strongest channel at the position.
    """

    obj: Tensor
    diffs: dict[str, Tensor]
    strongest: Tensor
    channel: Tensor


class Push:
    """Base of both kinds.

    Parameters
    ----------
    view : View
        Where the net looks.
    layer : str
        The layer whose strongest unit is recorded.
    dirs : Tensor
        push_dir of each member, (n,).
    """

    def __init__(self, view: View, layer: str, dirs: Tensor) -> None:
        self.view, self.layer, self.dirs = view, layer, dirs

    def __call__(self, values: Values, part: slice) -> Pushed:
        """Look at the values of a part of the batch's members."""
        raise NotImplementedError

    def strongest(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return `Pushed.strongest` and `Pushed.channel` for a layer's maps."""
        channel = maps[:, :, self.view.row, self.view.column].argmax(1)
        if self.view.cropped:
            return channel, channel
        return maps.flatten(1).argmax(1), channel


class UnitPush(Push):
    """Each member pushes one channel of one layer, at the same position.

    Parameters
    ----------
    view, layer, dirs
        As for `Push`.
    channels : Tensor
        Each member's channel, (n,).
    rivals : Tensor
        Each member's share of the strongest other channel's gradient that is taken off, (n,).
    """

    def __init__(
        self, view: View, layer: str, dirs: Tensor, channels: Tensor, rivals: Tensor
    ) -> None:
        super().__init__(view, layer, dirs)
        self.channels = channels
        self._rivals = rivals * (dirs > 0)
        self._competes = bool((self._rivals > 0).any())
        self._diffs: dict[tuple[int, int], Tensor] = {}

    def __call__(self, values: Values, part: slice) -> Pushed:
        """Look at the values of a part of the batch's members."""
        value = values[self.layer]
        maps, channels = as_maps(value), self.channels[part]
        here = maps[:, :, self.view.row, self.view.column]
        obj = here.gather(1, channels[:, None])[:, 0].clone()
        strongest, channel = self.strongest(maps)
        diff = self._diff(value, part)
        if self._competes:
            diff = self._without_rival(diff, here, obj, part)
        return Pushed(obj, {self.layer: diff}, strongest, channel)

    def _without_rival(self, diff: Tensor, here: Tensor, obj: Tensor, part: slice) -> Tensor:
        """Take off a share of the strongest other channel, where it is nearly as strong."""
        others = here.scatter(1, self.channels[part][:, None], -torch.inf)
        rival, which = others.max(1)
        near = (obj > 0) & (rival > _NEAR * obj) & rival.isfinite()
        share = -self._rivals[part] * self.dirs[part] * near
        diff = diff.clone()
        as_maps(diff)[:, :, self.view.row, self.view.column].scatter_add_(
            1, which[:, None], share[:, None]
        )
        return diff

    def _diff(self, value: Tensor, part: slice) -> Tensor:
        """Return push_dir at each unit, zero elsewhere: the same in every iteration."""
        key = (part.start, part.stop)
        if key not in self._diffs:
            diff = torch.zeros_like(as_maps(value))
            here = diff[:, :, self.view.row, self.view.column]
            here.scatter_(1, self.channels[part][:, None], self.dirs[part][:, None])
            self._diffs[key] = diff.reshape(value.shape)
        return self._diffs[key]


class ObjectivePush(Push):
    """All members push one objective.

    Parameters
    ----------
    view, layer, dirs
        As for `Push`.
    objective : Objective
        What to push.
    look : Look
        Where, in each layer it reads.
    """

    def __init__(
        self, view: View, layer: str, dirs: Tensor, objective: Objective, look: Look
    ) -> None:
        super().__init__(view, layer, dirs)
        self.objective, self._look = objective, look

    def __call__(self, values: Values, part: slice) -> Pushed:
        """Look at the values of a part of the batch's members."""
        obj, diffs = gradients(self.objective, values, self._look)
        dirs = self.dirs[part]
        scaled = {
            name: diff * dirs.view(-1, *[1] * (diff.ndim - 1)) for name, diff in diffs.items()
        }
        return Pushed(obj, scaled, *self.strongest(as_maps(values[self.layer])))
