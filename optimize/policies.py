"""Learning-rate policies: how far one iteration goes along the gradient.

A policy is a row of `POLICIES`; command line, checks and tests read the same rows. Each
computes the rates of all members of a batch at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optimize.errors import ParamsError


@dataclass(frozen=True)
class Step:
    """What a policy may look at; one value a member in each tensor, shape (n,).

    Parameters
    ----------
    norm : Tensor
        The gradient's L2 norm.
    obj : Tensor
        The objective.
    values : Tensor
        How many values of the input the unit can see.
    done : float
        Share of the iterations that is over, 0 to 1.
    grey : float
        One grey level in units of the net's input (1 unless the settings scale it).
    """

    norm: Tensor
    obj: Tensor
    values: Tensor
    done: float
    grey: float = 1.0


Rates = Callable[[Step, dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Policy:
    """A learning-rate policy.

    Parameters
    ----------
    about : str
        One line of help.
    needs : tuple of str
        Names of the numbers that `lr_params` must have.
    rates : callable
        From a `Step` and those numbers (tensors of shape (n,)) to the rates (n,).
    optional : mapping of str to float
        Numbers that may be left out, with their defaults.
    """

    about: str
    needs: tuple[str, ...]
    rates: Rates
    optional: Mapping[str, float]


POLICIES: dict[str, Policy] = {}


def policy(name: str, about: str, *needs: str, **optional: float) -> Callable[[Rates], Rates]:
    """Register the decorated function as a policy."""

    def register(rates: Rates) -> Rates:
        POLICIES[name] = Policy(about, needs, rates, optional)
        return rates

    return register


@policy("constant", "always lr", lr=10.0)
def _constant(step: Step, p: dict[str, Tensor]) -> Tensor:
    return p["lr"]


@policy(
    "progress",
    "so that the objective should grow by desired_prog, but at most max_lr",
    "max_lr",
    "desired_prog",
)
def _progress(step: Step, p: dict[str, Tensor]) -> Tensor:
    return torch.minimum(p["max_lr"], p["desired_prog"] / step.norm.square())


@policy(
    "progress01",
    "for probabilities: growth by the lesser of early_prog and late_prog_mult * (1 - a)",
    "max_lr",
    "early_prog",
    "late_prog_mult",
)
def _progress01(step: Step, p: dict[str, Tensor]) -> Tensor:
    wanted = torch.minimum(p["early_prog"], p["late_prog_mult"] * (1 - step.obj))
    return torch.minimum(p["max_lr"], wanted / step.norm.square())


@policy(
    "rms",
    "the step's root mean square over what the unit sees is step grey levels,"
    " late_step after half of the iterations (share late_from)",
    step=4.0,
    late_step=2.0,
    late_from=0.5,
)
def _rms(step: Step, p: dict[str, Tensor]) -> Tensor:
    wanted = torch.where(p["late_from"] <= step.done, p["late_step"], p["step"])
    return wanted * step.grey * step.values.sqrt() / step.norm


def check_lr_params(name: str, values: Any) -> dict[str, float]:
    """Return a policy's numbers, checked.

    Raises
    ------
    ParamsError
        The policy is unknown, or a number is missing, unknown or not finite.
    """
    known = POLICIES.get(name)
    if known is None:
        raise ParamsError(f"lr_policy is {name!r}; {', '.join(POLICIES)} are accepted")
    accepted = [*known.needs, *known.optional]
    values = {} if values is None else values
    if not isinstance(values, Mapping) or set(known.needs) - set(values):
        raise ParamsError(f"lr_params is {values!r}; the policy {name} takes {accepted}")
    unknown = [key for key in values if key not in accepted]
    if unknown:
        raise ParamsError(f"lr_params has {unknown[0]!r}; the policy {name} takes {accepted}")
    try:
        numbers = {key: float(values[key]) for key in values}
    except (TypeError, ValueError):
        numbers = {}
    if len(numbers) < len(values) or not all(map(math.isfinite, numbers.values())):
        raise ParamsError(f"lr_params is {values!r}; a finite number for each name is accepted")
    return {**known.optional, **numbers}


class Rating:
    """The policies of a batch's members, each with its own numbers.

    Parameters
    ----------
    members : sequence of (str, mapping)
        lr_policy and lr_params of each.
    device : torch.device
        Where the batch is.
    """

    def __init__(
        self, members: Sequence[tuple[str, Mapping[str, float]]], device: torch.device
    ) -> None:
        self._groups: list[tuple[Rates, Tensor, dict[str, Tensor]]] = []
        for name in dict.fromkeys(name for name, _ in members):
            which = [i for i, member in enumerate(members) if member[0] == name]
            keys = [*POLICIES[name].needs, *POLICIES[name].optional]
            numbers = {
                key: torch.tensor([members[i][1][key] for i in which], device=device)
                for key in keys
            }
            self._groups.append((POLICIES[name].rates, torch.tensor(which, device=device), numbers))

    def __call__(self, step: Step) -> Tensor:
        """Return each member's rate, shape (n,)."""
        if len(self._groups) == 1:
            rates, _, numbers = self._groups[0]
            return rates(step, numbers)
        out = torch.zeros_like(step.norm)
        for rates, which, numbers in self._groups:
            part = Step(step.norm[which], step.obj[which], step.values[which], step.done, step.grey)
            out[which] = rates(part, numbers)
        return out
