"""The table of operators; each module here has the rows of one kind."""

from torchcaffe.importing.operators import (
    arithmetic,
    neurons,
    normalise,
    pooling,
    products,
    shapes,
)
from torchcaffe.importing.operators.registry import ROWS, Matched, Part

__all__ = [
    "ROWS",
    "Matched",
    "Part",
    "arithmetic",
    "neurons",
    "normalise",
    "pooling",
    "products",
    "shapes",
]
