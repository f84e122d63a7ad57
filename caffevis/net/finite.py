"""Where a broken network first has no numbers: NaN and infinity spread to all layers behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from caffevis.model.layer_list import NetLike


def all_finite(values: npt.NDArray[np.float32]) -> bool:
    """Tell whether an array holds numbers only; quick, for it is asked with each picture."""
    # Minimum and maximum are NaN where any value is, and need no array of their own.
    return bool(values.size == 0 or np.isfinite(values.min()) and np.isfinite(values.max()))


def first_broken(net: NetLike) -> str:
    """Say which layer of a network first has values that are no numbers; empty where none has.

    Returns
    -------
    str
        One sentence, without its full stop, that names the layer and whether its weights
        are the reason.
    """
    params: Mapping[str, Any] = getattr(net, "params", {})
    for layer in net._layer_names:
        if all(all_finite(net.blobs[top].data) for top in net.top_names[layer]):
            continue
        weights = params.get(layer, ())
        own = any(not all_finite(blob.data) for blob in weights)
        reason = ", as its weights have" if own else ""
        return f"{layer} is the first layer without numbers: it has NaN or infinite values{reason}"
    return ""
