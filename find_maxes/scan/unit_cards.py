"""From a scan's totals to what the result says of each unit beside its top images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from find_maxes.labels.card import Card, make_card
from find_maxes.labels.lots import draw_lots
from find_maxes.labels.naming import TOP, name_units
from find_maxes.labels.sample import quantiles
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.running_totals import Totals
from find_maxes.scan.top_n import locations
from torchcaffe.blobs.blob import Shape


def unit_cards(totals: Totals, shapes: Mapping[str, Shape], images: ImageList) -> dict[str, Card]:
    """Return each layer's card; none where neither labels nor quantiles were kept.

    Parameters
    ----------
    totals : Totals
        Of all images.
    shapes : mapping of str to tuple of int
        Layer -> units and the axes of its map.
    images : ImageList
        All images.
    """
    if totals.classes is None and totals.sample is None:
        return {}
    dense = np.append(draw_lots(images).classes, -1)  # the last is for no image
    found = {}
    for name, tracker in totals.trackers().items():
        rows = totals.rows()[name]
        labels = seen = places = None
        if totals.classes is not None:
            top = dense[tracker.images[:, :TOP].cpu().numpy()]
            labels = name_units(totals.classes.part(*rows), top)
        if totals.sample is not None:
            seen = quantiles(totals.sample.part(*rows))
            places = locations(seen.images, seen.places, shapes[name][1:], images.classes)
        found[name] = make_card(labels, seen, places)
    return found
