"""What a user is told."""

from __future__ import annotations


class VisualizationsError(Exception):
    """One sentence: what is wrong, where, what is accepted."""
