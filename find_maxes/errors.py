"""What goes wrong with a command, in one sentence for the user."""

from __future__ import annotations


class FindMaxesError(Exception):
    """Something given to find_maxes does not fit; the text says what, where, and what does."""


def reason_of(error: OSError) -> str:
    """Say in a few words why the system refused something."""
    return (error.strerror or type(error).__name__).lower()


class UnwritableError(FindMaxesError):
    """A file or folder that cannot be written."""
