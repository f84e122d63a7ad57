"""BN: images (N, C, H, W) come in; out go they, normalised channel by channel and scaled."""

from __future__ import annotations

from torch import Tensor

from torchcaffe.blobs.blob import Shape
from torchcaffe.layers.base import Diffs, Layer, Span, layer
from torchcaffe.proto.caffe_pb2 import TRAIN, BNParameter, FillerParameter

_SEGNET_EPS = 1e-9
# settings that only this fork has
_OF_PSPNET = ("moving_average", "decay", "axis", "var_eps")
_OF_ACTION = ("slope_filler", "bias_filler", "frozen", "momentum", "eps")


def fork_of(p: BNParameter, params: int) -> str:
    """Return whose BN a layer is: "segnet", "pspnet" or "action" (yjxiong's fork, TSN).

    Parameters
    ----------
    p : BNParameter
        The settings.
    params : int
        How many `param { }` the layer has.
    """
    if p.HasField("bn_mode"):
        return "segnet"
    if any(p.HasField(name) for name in _OF_ACTION):
        return "action"
    if any(p.HasField(name) for name in _OF_PSPNET):
        return "pspnet"
    has_fillers = p.HasField("scale_filler") or p.HasField("shift_filler")
    if not has_fillers:
        return "action"
    return "pspnet" if params > 2 else "segnet"


@layer("BN")
class BN(Layer):
    """y = (x - mean) / sqrt(variance + eps) * scale + shift, in one layer.

    PSPNet's and yjxiong's forks have four blobs of shape (1, C, 1, 1): scale, shift, mean and
    variance; SegNet's has the first two, normalises by the batch (`bn_mode: LEARN`, also when
    testing) or, with INFERENCE, not at all, and can give the batch's mean and variance as
    further tops.
    """

    tops = (1, 3)

    def setup(self, shapes: list[Shape]) -> None:
        self.need_axes(shapes[0], 2, 4)
        p = self.param.bn_param
        fork = fork_of(p, len(self.param.param))
        self.along = p.axis if fork == "pspnet" else 1
        if self.along not in (1, 2) or self.along >= len(shapes[0]):
            raise self.error(f"axis is {p.axis}; 1 or 2 within its bottom is accepted")
        self.is_affine = fork == "segnet" and p.bn_mode == BNParameter.INFERENCE
        self.eps = {"segnet": _SEGNET_EPS, "pspnet": p.var_eps, "action": p.eps}[fork]
        is_test = self.phase != TRAIN
        self.use_stored = {
            "segnet": False,
            "pspnet": is_test and p.moving_average,
            "action": is_test or p.frozen,
        }[fork]
        self.share = 1 - p.momentum if fork == "action" else p.decay  # of a batch, in training
        if len(self.param.top) > 1 and (fork != "segnet" or self.is_affine):
            raise self.error("further tops (mean, variance) exist for SegNet's bn_mode LEARN only")
        self._make_params(shapes[0][self.along], fork)

    def _make_params(self, channels: int, fork: str) -> None:
        p = self.param.bn_param
        constant = [FillerParameter(type="constant", value=float(v)) for v in (0, 1)]
        names = ("slope_filler", "bias_filler") if fork == "action" else (
            "scale_filler", "shift_filler"
        )  # fmt: skip
        fillers = [getattr(p, name) for name in names]
        if fork != "segnet":
            fillers += constant
        shape = [1, 1, 1, 1]
        shape[self.along] = channels
        for filler in fillers:
            self.add_param(shape, filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.need_axes(shapes[0], 2, 4)
        own = self.blobs[0].dims
        if self.along >= len(shapes[0]) or shapes[0][self.along] != own[self.along]:
            raise self.shape_error(
                f"its bottom has the shape {shapes[0]}, its parameters are for "
                f"{own[self.along]} channels"
            )
        return [shapes[0], own, own][: len(self.param.top)]

    def _statistics(self, x: Tensor, params: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return mean and variance, each of as many values as there are channels."""
        if self.use_stored:
            return params[2].flatten(), params[3].flatten()
        axes = [axis for axis in range(x.ndim) if axis != self.along]
        return x.mean(axes), x.var(axes, unbiased=False)

    def compute(self, bottoms: list[Tensor], params: list[Tensor]) -> list[Tensor]:
        (x,) = bottoms
        view = [-1 if axis == self.along else 1 for axis in range(x.ndim)]
        scale, shift = (param.reshape(view) for param in params[:2])
        if self.is_affine:
            return [x * scale + shift]
        mean, variance = self._statistics(x, params)
        normal = (x - mean.view(view)) * (variance + self.eps).rsqrt().view(view)
        own = self.blobs[0].dims
        tops = [normal * scale + shift, mean.reshape(own), variance.reshape(own)]
        return tops[: len(self.param.top)]

    def forward(self, bottoms: list[Tensor]) -> list[Tensor]:
        if self.phase == TRAIN and len(self.blobs) > 2 and not self.use_stored:
            news = self._statistics(bottoms[0], [blob.tensor for blob in self.blobs])
            for blob, new in zip(self.blobs[2:], news, strict=True):
                kept = (1 - self.share) * blob.tensor
                blob.set_tensor(kept + self.share * new.reshape(blob.shape))
        return super().forward(bottoms)

    def param_diffs(
        self, top_diffs: list[Tensor], bottoms: list[Tensor], tops: list[Tensor]
    ) -> Diffs:
        diffs = super().param_diffs(top_diffs, bottoms, tops)
        return [diff if i < 2 else None for i, diff in enumerate(diffs)]  # statistics: not learned

    def field(self, span: Span, axis: int, bottom: int, shapes: list[Shape]) -> Span | None:
        by_point = self.use_stored or self.is_affine
        return super().field(span, axis, bottom, shapes) if by_point else None
