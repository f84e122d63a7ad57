"""Colours, fonts and places of the app's panes, read once from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from toolbox.app.core_panes import heading_style, place_from, style_from
from toolbox.drawing.text import Style
from toolbox.pictures.images import Colour, to_colour
from toolbox.settings.config import Settings

NOTE = 0.75  # of a label's size that notes have


@dataclass(frozen=True)
class Look:
    """How the app's panes look; see `settings.py` for what each is."""

    background: Colour
    stale: Colour
    control: Style
    control_selected: Style
    control_cursor: Style
    control_back: Style
    control_place: tuple[int, int]
    control_spacing: int
    class_style: Style
    class_low: Colour
    class_high: Colour
    class_place: tuple[int, int]
    class_spacing: int
    label: Style
    label_place: tuple[int, int]
    cursor: Colour
    back_unit: Colour
    back_background: Colour
    blur_radius: float
    note: Style
    mark: Colour
    heading: Style | None = None


def note_style(settings: Settings) -> Style:
    """Take the labels' style in a size that holds a command in a narrow pane."""
    return style_from(settings, "caffevis_label").scaled(NOTE)


def look_from(settings: Settings) -> Look:
    """Collect the app's looks from the settings."""
    scale = settings.global_scale
    return Look(
        background=to_colour(settings.window_background),
        stale=to_colour(settings.stale_background),
        control=style_from(settings, "caffevis_control"),
        control_selected=style_from(settings, "caffevis_control", "clr_selected", "thick_selected"),
        control_cursor=style_from(settings, "caffevis_control", "clr_cursor", "thick_cursor"),
        control_back=style_from(settings, "caffevis_control", "clr_bp", "thick_bp"),
        control_place=place_from(settings, "caffevis_control_loc"),
        control_spacing=round(settings.caffevis_control_line_spacing * scale),
        class_style=style_from(settings, "caffevis_class", "clr_0"),
        class_low=to_colour(settings.caffevis_class_clr_0),
        class_high=to_colour(settings.caffevis_class_clr_1),
        class_place=place_from(settings, "caffevis_class_loc"),
        class_spacing=round(settings.caffevis_class_line_spacing * scale),
        label=style_from(settings, "caffevis_label"),
        label_place=place_from(settings, "caffevis_label_loc"),
        cursor=to_colour(settings.caffevis_layer_clr_cursor),
        back_unit=to_colour(settings.caffevis_layer_clr_back_sel),
        back_background=to_colour(settings.caffevis_layer_clr_back_background),
        blur_radius=settings.caffevis_grad_norm_blur_radius,
        note=note_style(settings),
        mark=to_colour(settings.caffevis_layer_clr_top),
        heading=heading_style(settings),
    )
