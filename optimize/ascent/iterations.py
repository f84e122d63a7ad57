"""The ascent itself, for a batch: image, forward, record, gradient, step.

It is a generator that stops after each iteration, so that a batch runs it to its end and a window
can show how an image grows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from optimize.ascent.batch_objectives import Push, Pushed
from optimize.net.crops import View, cut
from optimize.parametrise.base import Canvas, Uphill
from optimize.parametrise.photo_statistics import PhotoStatistics
from optimize.parametrise.registry import PARAMETRISATIONS
from optimize.params import FindParams
from optimize.regularise.regularisers import Place, Regulariser
from optimize.regularise.transforms import together
from torchcaffe.regions import Region

_ZERO, _NOT_FINITE, _STUCK = 1, 2, 3  # why a member ended, in `Track.failed`
# Of the iterations, where the image is no field of pixels: the last ones show it as it is, and the
# best image is one of them, for a value with a lucky turn or shift says little about the image.
_STILL = 0.05
_GPU_LOOKS_EVERY = 16  # iterations: whether any member is alive; to ask a GPU waits for it
PATIENCE = 5  # iterations without a gradient, where each shows the image otherwise


@dataclass(frozen=True, eq=False)
class Batch:
    """What a batch of members has in common, and their starts.

    Parameters
    ----------
    members : sequence of FindParams
        With one max_iter and one parametrisation.
    view : View
        How the net looks.
    window : Region
        Rows and columns of the image that are computed; the view's region lies in it.
    push : Push
        What the members push.
    start : Tensor
        Where they start, (n, channels, h, w), the window's size.
    low, high : Tensor
        Black and white minus the mean, broadcast to the start's shape.
    grey : float
        One grey level in units of the net's input.
    regularisers : sequence of type
        The ordered list; those that no member uses are left out.
    chunk : int
        How many images the net is shown at once, at most.
    given : sequence of bool
        Which starts are images that the user gave.
    photos : PhotoStatistics
        What photos are like.
    rgb : sequence of int
        Which channel is red, green and blue.
    """

    members: Sequence[FindParams]
    view: View
    window: Region
    push: Push
    start: Tensor
    low: Tensor
    high: Tensor
    grey: float
    regularisers: Sequence[type[Regulariser]]
    chunk: int
    given: Sequence[bool]
    photos: PhotoStatistics
    rgb: Sequence[int]


@dataclass(frozen=True, eq=False)
class Moment:
    """What there is after an iteration.

    Parameters
    ----------
    iteration : int
        Its number.
    members : sequence of FindParams
        Whose images they are.
    images : Tensor
        Minus the mean, (n, channels, h, w), the window's size; the next iteration may change
        them in place.
    seen : Tensor
        What the unit sees of them, (n, channels, h, w).
    obj : Tensor
        Their objectives, (n,).
    """

    iteration: int
    members: Sequence[FindParams]
    images: Tensor
    seen: Tensor
    obj: Tensor


@dataclass(eq=False)
class Track:
    """What the iterations recorded; one column a member.

    Attributes
    ----------
    obj, norm, total, dist : Tensor
        (iterations, n): objective, L2 norm, sum of values, distance from the start.
    strongest, channel : Tensor
        (iterations, n): as in `Pushed`.
    ended : Tensor
        (n,): how many iterations each member has.
    failed : Tensor
        (n,): its gradient became zero (1) or was not finite (2); else 0.
    best_obj, best_ii : Tensor
        (n,)
    best, last : Tensor
        (n, channels, h, w): images.
    """

    obj: Tensor
    norm: Tensor
    total: Tensor
    dist: Tensor
    strongest: Tensor
    channel: Tensor
    ended: Tensor
    failed: Tensor
    best_obj: Tensor
    best_ii: Tensor
    best: Tensor
    last: Tensor


class Ascent:
    """Runs one batch.

    Parameters
    ----------
    batch : Batch
        What to run.

    Attributes
    ----------
    track : Track
        What was recorded so far.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        first = batch.members[0]
        self._iterations = first.max_iter
        device = batch.start.device
        self._origin = (batch.window.rows[0], batch.window.columns[0])
        field, window = batch.view.field, batch.window
        rows, columns = sum(field.rows) / 2, sum(field.columns) / 2
        place = Place(
            window.height,
            window.width,
            (rows - self._origin[0], columns - self._origin[1]),
            device,
            batch.grey,
            min(field.height, field.width),
            _inside(batch.view.region, window),
            _has_place(batch),
        )
        used = [r for r in batch.regularisers if any(r.is_on(p) for p in batch.members)]
        made = [regulariser(batch.members, place) for regulariser in used]
        self._before = together([r for r in made if type(r).before is not Regulariser.before])
        self._tolls = [r for r in made if type(r).toll is not Regulariser.toll]
        after = [r for r in made if type(r).after is not Regulariser.after]
        seen = float(field.height * field.width * batch.start.shape[1])
        self._held = PARAMETRISATIONS[first.parametrisation](
            Canvas(
                batch.members, batch.start, batch.given, batch.low, batch.high, batch.grey, seen,
                after, batch.photos, batch.rgb,
            )
        )  # fmt: skip
        moves = bool(self._before) and not self._held.holds_pixels
        still = _STILL if moves else 0
        self._still_from = self._iterations - int(still * self._iterations)
        self._sign = torch.sign(batch.push.dirs)
        self._look_every = 1 if device.type == "cpu" else _GPU_LOOKS_EVERY
        self._alive = torch.ones(len(batch.start), dtype=torch.bool, device=device)
        self._still = torch.zeros(len(batch.start), dtype=torch.int64, device=device)
        # Of an image that is not computed as a whole, only what the unit sees is kept.
        self._kept = window if _is_whole(batch) else field
        with torch.no_grad():
            self.track = self._new_track(self._held.begin())

    @property
    def kept(self) -> Region:
        """Rows and columns of the images in `Track.best` and `Track.last`."""
        return self._kept

    def moments(self) -> Iterator[Moment]:
        """Run iteration by iteration; `track` has what was recorded so far.

        Where a member has no gradient at the start, it ends there: nothing is computed for
        members that stand still, and the others are run without them (`zero_gradient`).
        """
        moment = None
        for i in range(self._iterations):
            if moment is not None:
                self._step()
            moment = self._iterate(i)
            self.track.last = cut(moment.images, self._kept, self._origin)
            yield moment
            if i % self._look_every:
                continue
            if not self._alive.any() or (i == 0 and (self.track.failed == _ZERO).any()):
                break
        self.track.last = self.track.last.clone()

    @torch.no_grad()
    def _iterate(self, i: int) -> Moment:
        """Look at the images as they are, and record what the net says."""
        x = self._held.image()
        pushed, grad = self._look(x, i)
        norm = torch.linalg.vector_norm(grad.flatten(1), dim=1)
        grad = self._placed(grad, x)
        for regulariser in self._tolls:
            taken, grad = regulariser.toll(x, grad)
            pushed = replace(pushed, obj=pushed.obj - taken)
        self._record(self.track, x, pushed, self._alive, i)
        self._alive = self._end(self.track, norm, self._alive, i)
        self._uphill = Uphill(grad, norm, pushed.obj, self._alive, i, self._iterations)
        seen = cut(x, self._batch.view.field, self._origin)
        return Moment(i, self._batch.members, x, seen, pushed.obj)

    @torch.no_grad()
    def _step(self) -> None:
        self._held.step(self._uphill)

    # ------------------------------------------------------------ parts of an iteration

    def _look(self, x: Tensor, iteration: int) -> tuple[Pushed, Tensor]:
        """Return what the net says, and the gradient: of the view's region, or of all."""
        if not self._before or iteration >= self._still_from:  # nothing is moved
            return self._net(cut(x, self._batch.view.region, self._origin))
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            shown = leaf
            for regulariser in self._before:
                shown = regulariser.before(shown, iteration)
            region = self._batch.view.region
            if shown.shape[2:] != (region.height, region.width):
                shown = cut(shown, region, self._origin)
            seen = shown
        pushed, grad = self._net(seen.detach())
        (whole,) = torch.autograd.grad(seen, leaf, grad)
        return pushed, whole

    def _net(self, seen: Tensor) -> tuple[Pushed, Tensor]:
        section, push, n = self._batch.view.section, self._batch.push, len(seen)
        chunk = math.ceil(n / math.ceil(n / self._batch.chunk))  # of about one size
        parts, grads = [], []
        for start in range(0, n, chunk):
            part = slice(start, min(start + chunk, n))
            # A copy of its own: the net keeps its input, and x changes in place.
            pushed = push(section.forward(seen[part].clone()), part)
            parts.append(pushed)
            grads.append(section.backward(pushed.diffs))
        if len(parts) == 1:
            return parts[0], grads[0]
        joined = Pushed(
            torch.cat([p.obj for p in parts]),
            {},
            torch.cat([p.strongest for p in parts]),
            torch.cat([p.channel for p in parts]),
        )
        return joined, torch.cat(grads)

    def _placed(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return the gradient by the whole window."""
        if grad.shape == x.shape:
            return grad
        whole = torch.zeros_like(x)
        cut(whole, self._batch.view.region, self._origin).copy_(grad)
        return whole

    # ------------------------------------------------------------ keeping track

    def _new_track(self, x: Tensor) -> Track:
        n, device, rows = len(x), x.device, self._iterations

        def numbers(kind: torch.dtype = torch.float64) -> Tensor:
            return torch.zeros((rows, n), dtype=kind, device=device)

        best = cut(x, self._kept, self._origin).clone()
        self._begun = best.clone()
        whole = torch.int64
        return Track(
            numbers(), numbers(), numbers(), numbers(), numbers(whole), numbers(whole),
            torch.full((n,), rows, device=device),
            torch.zeros(n, dtype=whole, device=device),
            torch.full((n,), -torch.inf, dtype=torch.float64, device=device),
            torch.zeros(n, dtype=whole, device=device),
            best, best,
        )  # fmt: skip

    def _record(self, track: Track, x: Tensor, pushed: Pushed, alive: Tensor, i: int) -> None:
        kept = cut(x, self._kept, self._origin)
        track.obj[i] = pushed.obj
        track.norm[i] = torch.linalg.vector_norm(kept, dim=(1, 2, 3))
        track.total[i] = kept.sum(dim=(1, 2, 3))
        track.dist[i] = torch.linalg.vector_norm(kept - self._begun, dim=(1, 2, 3))
        track.strongest[i], track.channel[i] = pushed.strongest, pushed.channel
        signed = pushed.obj * self._sign
        # Below zero a ReLU hides how far down a minimised unit is: the later, the lower.
        ties = (signed == track.best_obj) & (self._sign < 0)
        better = ((signed > track.best_obj) | ties) & alive
        if i in (0, self._still_from):
            better = alive  # also an objective that is not a number has a first image
        track.best_obj = torch.where(better, signed.to(torch.float64), track.best_obj)
        track.best_ii = torch.where(better, i, track.best_ii)
        track.best = torch.where(better.view(-1, 1, 1, 1), kept, track.best)

    def _end(self, track: Track, norm: Tensor, alive: Tensor, i: int) -> Tensor:
        """Take out the members whose gradient is zero or not finite.

        Where each iteration shows the image otherwise, the next one may have a gradient again;
        after some without one it no longer will.
        """
        self._still = torch.where(norm == 0, self._still + 1, 0)
        patience = PATIENCE if self._before and i > 0 else 1
        dead = (self._still >= patience) | ~torch.isfinite(norm)
        now = dead & alive
        reason = torch.where(norm == 0, _ZERO if patience == 1 else _STUCK, _NOT_FINITE)
        track.failed = torch.where(now, reason, track.failed)
        track.ended = torch.where(now, i + 1, track.ended)
        return alive & ~dead


def _inside(region: Region, window: Region) -> tuple[int, int, int, int]:
    """Return a region's first row and column within a window, its height and its width."""
    top, left = region.rows[0] - window.rows[0], region.columns[0] - window.columns[0]
    return top, left, region.height, region.width


def _has_place(batch: Batch) -> bool:
    """Whether the layer pushed has other units of the same channel, elsewhere in the image."""
    shape = batch.view.section.shape(batch.push.layer)
    return batch.view.cropped or math.prod(shape[2:]) > 1


def _is_whole(batch: Batch) -> bool:
    return (batch.window.height, batch.window.width) == batch.view.full_size
