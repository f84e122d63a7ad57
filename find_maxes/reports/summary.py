"""What a run prints when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from find_maxes.labels.card import Card
from find_maxes.photos.photo_list import ImageList
from find_maxes.scan.running_totals import Totals
from find_maxes.scan.scan import Clock


def summary(totals: Totals, images: ImageList, out: Path, seconds: float, count: int) -> str:
    """Say how many images were gone through and what was found."""
    units = sum(totals.units.values())
    rate = f", {count / seconds:.1f} images/s" if count else ""
    lines = [
        f"{len(images)} images{rate}; {units} units of {len(totals.units)} layer(s) -> {out}",
    ]
    if totals.bad:
        share = 100 * len(totals.bad) / len(images)
        lines.append(f"{len(totals.bad)} bad file(s), {share:.1f} %, left out (bad_index in {out})")
    for name, tracker in totals.trackers().items():
        empty = int((tracker.images[:, 0] < 0).sum())
        if empty and len(totals.bad) < len(images):
            lines.append(f"{empty} unit(s) of {name} gave no number in any image (NaN)")
    return "\n".join(lines)


def dead(totals: Totals) -> str:
    """Say how many units are dead."""
    count, kept = 0, False
    for layer in totals.statistics.values():
        if layer.histogram is not None:
            count, kept = count + int(layer.histogram.dead().sum()), True
    return f"{count} dead unit(s)" if kept else "dead units are found with --histograms"


def labelled(cards: Mapping[str, Card]) -> list[str]:
    """Say how many units of each layer got a label, and how many get one from shuffled classes."""
    lines = []
    for name, card in cards.items():
        if card.label is not None and card.label_shuffled is not None:
            count, units = int((card.label >= 0).sum()), len(card.label)
            lines.append(
                f"{name}: {count} of {units} units have a label, {100 * count / units:.0f} %; "
                f"with shuffled classes {100 * float(card.label_shuffled):.0f} %"
            )
    return lines


def shares(clock: Clock) -> str:
    """Say where the time went."""
    parts = {name: value for name, value in clock.seconds.items() if name != "decode"}
    whole = sum(parts.values()) or 1.0
    names = {"wait": "waiting for pictures", "forward": "forward", "top": "top N"}
    shown = ", ".join(f"{names[name]} {100 * value / whole:.0f} %" for name, value in parts.items())
    return f"time: {shown}; decoding in the workers {clock.seconds['decode']:.1f} s"
