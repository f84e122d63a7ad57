"""What a user can get wrong, as one sentence each."""

from __future__ import annotations


class OptimizeError(Exception):
    """A request that can't be carried out; the message is one sentence."""


class ParamsError(OptimizeError, ValueError):
    """Settings of a run that are not accepted."""
