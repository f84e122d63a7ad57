"""What eager PyTorch computes: outputs of all modules by hooks, and passes back by autograd."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class _Rectifier(torch.autograd.Function):
    """min(max(x, 0), top) (plus slope * min(x, 0)) whose diff goes back by a rule."""

    @staticmethod
    def forward(ctx, x, top, rule, slope=0.0):
        ctx.save_for_backward(x)
        ctx.top, ctx.rule, ctx.slope = top, rule, slope
        return torch.where(x > 0, x.clamp(max=top), slope * x)

    @staticmethod
    def backward(ctx, diff):
        (x,) = ctx.saved_tensors
        if ctx.rule in ("deconv", "guided"):
            diff = diff.clamp(min=0)
        if ctx.rule in ("backprop", "guided"):
            inside = (x > 0) & (x < ctx.top)
            diff = torch.where(inside, diff, diff * ctx.slope)
        return diff, None, None, None


class ByRule(TorchFunctionMode):
    """Let every ReLU and ReLU6 go back by a rule, however it is written."""

    RELU = ("relu", "relu_")

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in self.RELU:
            return _Rectifier.apply(args[0], float("inf"), self.rule)
        if name in ("leaky_relu", "leaky_relu_"):
            slope = args[1] if len(args) > 1 else kwargs["negative_slope"]
            return _Rectifier.apply(args[0], float("inf"), self.rule, slope)
        if name in ("relu6", "relu6_", "hardtanh", "hardtanh_"):
            return _Rectifier.apply(args[0], 6.0, self.rule)
        if name == "clamp" and kwargs == {"min": 0}:
            return _Rectifier.apply(args[0], float("inf"), self.rule)
        return func(*args, **kwargs)


class Recorded:
    """Run a module, and keep each module's output by its path (`path_1` for the second call)."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.x = x.clone().requires_grad_()
        self.outputs: dict[str, Tensor] = {}
        seen: Counter[str] = Counter()

        def keep(path):
            def hook(part, inputs, output):
                if not isinstance(output, Tensor):
                    return None
                name = path if not seen[path] else f"{path}_{seen[path]}"
                seen[path] += 1
                self.outputs[name] = output
                return output.clone()  # so that what follows can't write into it

            return hook

        hooks = [part.register_forward_hook(keep(p)) for p, part in module.named_modules() if p]
        try:
            made = module(self.x * 1)
        finally:
            for hook in hooks:
                hook.remove()
        self.final = list(made) if isinstance(made, tuple) else [made]

    def gradient(self, output: Tensor, diff: Tensor) -> Tensor:
        return torch.autograd.grad(output, self.x, diff, retain_graph=True)[0]
