#!/usr/bin/env python3
"""Deep Visualization Toolbox: every unit of a network, live, on photos and camera.

Run it without arguments for the window, with --headless for pictures without one,
and press h in the window for the keys.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NoReturn

import settings as settings_file
from toolbox.app.bindings import BindingError
from toolbox.app.core import CORE_BINDINGS
from toolbox.app.protocol import App, all_bindings, load_apps, picture_aspect
from toolbox.command_line import exit_status
from toolbox.drawing.panes import PaneError
from toolbox.drawing.text import folders_hidden
from toolbox.input.files import FileQuery
from toolbox.input.lists import FilesError
from toolbox.input.sources import Inputs
from toolbox.input.video import Spec, camera_label
from toolbox.input.viewers import FromViewers
from toolbox.pictures.held import HeldError, parse_held
from toolbox.pictures.image_file import ImageError, check_writable, write_image
from toolbox.record.film import Film, LiveFilm, ScriptedFilm
from toolbox.record.film_file import FilmError, FilmFile, check_film
from toolbox.run.drive import LoopError, run_live, run_script
from toolbox.run.loop import Loop, still_clock
from toolbox.run.tour import TOUR, run_tour
from toolbox.serve.command import (
    HINT,
    add_options,
    announce,
    end_with_parent,
    ended_by_signals,
    read_rules,
)
from toolbox.serve.door import ServeError
from toolbox.serve.hall import Hall
from toolbox.serve.server import Rules, Server
from toolbox.serve.window import ServedWindow
from toolbox.settings.config import Settings, SettingsError
from toolbox.settings.presets import PRESETS, with_model
from toolbox.window.desktop import find_desktop, fitting_scale
from toolbox.window.highgui import Display, NoDisplayError, Window
from toolbox.workers.heap import hold_little

USER_ERRORS = (
    SettingsError, PaneError, BindingError, ImageError, FilesError, LoopError, NoDisplayError,
    FilmError, HeldError, ServeError,
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the command line."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with 2."""
        self.exit(2, f"live_vis.py: {message} (see live_vis.py --help)\n")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a network instead of the settings'."""
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="the network: a .pt2 or .onnx file, a prototxt, or Python code as mynets:resnet",
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="with --model: its weights, where it has none in it"
    )
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="with --model: how pictures are prepared (imagenet, or caffe for a prototxt)",
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="live_vis.py", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--settings", metavar="FILE", type=Path, help="instead of settings_local.py"
    )
    add_model(parser)
    parser.add_argument(
        "--allow-python-layers",
        action="store_true",
        help="let the network's Python layers run the code they name",
    )
    parser.add_argument("--image-input", metavar="NAME", help="the input that takes the picture")
    parser.add_argument(
        "--hold", metavar="NAME=VALUE", action="append",
        help="what another input holds: a number, one a channel as im_info=600,800,1, or a file",
    )  # fmt: skip
    parser.add_argument(
        "--image", metavar="PATH", nargs="+", default=[], help="pictures, videos or folders to show"
    )
    parser.add_argument(
        "--photos", metavar="DIR", help="photos in which units' top patches are sought"
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="forget at the end what was found in photos"
    )
    parser.add_argument("--headless", action="store_true", help="without a window")
    parser.add_argument(
        "--keys", metavar="LABELS", help='with --headless: keys to press, "o o down right b"'
    )
    parser.add_argument(
        "--screenshot", metavar="FILE", help="with --headless: where to write the last picture"
    )
    add_options(parser)
    parser.add_argument("--record", metavar="FILE", help="write a film of the window, .mp4 or .avi")
    tours = parser.add_mutually_exclusive_group()
    tours.add_argument("--tour", metavar="DIR", type=Path, help="write a short tour as pictures")
    tours.add_argument(
        "--run-or-tour", metavar="DIR", type=Path, help="the window, or without a display the tour"
    )
    options = parser.parse_args(arguments)
    if not options.headless and (options.keys is not None or options.screenshot):
        parser.error("--keys and --screenshot need --headless")
    if options.model is None and (options.weights or options.preset):
        parser.error("--weights and --preset need --model")
    if options.photos and not Path(options.photos).is_dir():
        parser.error(f"--photos: there is no folder {options.photos}")
    missing = [path for path in options.image if not Path(path).exists()]
    if missing:
        parser.error(f"--image: there is no {missing[0]}")
    if options.headless and (options.tour or options.run_or_tour):
        parser.error("--headless and the tour exclude each other: the tour has no window anyway")
    if options.serve and (options.headless or options.tour or options.run_or_tour):
        parser.error("--serve shows a window: without --headless and the tour")
    if options.record and (options.tour or options.run_or_tour):
        parser.error("--record and the tour exclude each other: it is made of single pictures")
    return options


def make_inputs(
    settings: Settings,
    paths: Sequence[str],
    single: bool,
    aspect: float = 1.0,
    viewers: FromViewers | None = None,
) -> Inputs:
    """Make the sources: files given by name, or those of the settings, and the camera."""
    mode = settings.static_files_input_mode
    query = FileQuery(
        paths=tuple(paths),
        folder=settings.static_files_dir,
        regexp=settings.static_files_regexp,
        ignore_case=settings.static_files_ignore_case,
        list_file=None if mode == "directory" else settings.static_files_input_file,
        pairs=mode == "siamese_image_list" or settings.is_siamese,
    )
    camera, device = None, settings.input_updater_capture_device
    if device is not None:
        pause = settings.input_updater_sleep_after_read_frame
        camera = Spec(device, camera_label(device), pause=pause)
    return Inputs(query, camera, single, aspect=aspect, viewers=viewers)


def make_loop(
    settings: Settings,
    paths: Sequence[str],
    live: bool,
    classes: Sequence[Callable[..., App]],
    viewers: FromViewers | None = None,
) -> Loop:
    """Put apps and inputs together; a scripted run gets a clock that stands still."""
    if live:
        hold_little()
    clock = time.perf_counter if live else still_clock
    apps = [make(settings, clock) for make in classes]
    inputs = make_inputs(settings, paths, not live, picture_aspect(apps), viewers)
    try:
        return Loop(settings, apps, inputs, clock)
    except BaseException:
        inputs.close()
        raise


def open_film(
    options: argparse.Namespace, kind: type[LiveFilm] | type[ScriptedFilm]
) -> AbstractContextManager[Film | None]:
    """Begin the film, where one is asked for; it is finished however the block is left."""
    return kind(FilmFile(options.record)) if options.record else nullcontext()


def for_script(settings: Settings) -> Settings:
    """Make nothing that neither a key nor the settings ask for."""
    return settings.replaced(caffevis_make_images=bool(settings.caffevis_make_images))


def at_first_layer(settings: Settings) -> Settings:
    """Begin at the first layer, where keys of a script are counted from, whatever the model."""
    return settings.replaced(caffevis_start=None)


def run_headless(options: argparse.Namespace, settings: Settings) -> None:
    """Press the keys and write the screenshot."""
    settings = for_script(settings)
    classes = load_apps(settings)
    keys = all_bindings(CORE_BINDINGS, classes).parse_keys(options.keys or "")
    if options.keys is not None:
        settings = at_first_layer(settings)
    if options.screenshot:
        check_writable(options.screenshot)
    loop = make_loop(settings, options.image, False, classes)
    try:
        with open_film(options, ScriptedFilm) as loop.film:
            picture = run_script(loop, keys)
    finally:
        loop.close()
    if loop.inputs.message:
        print(f"note: {loop.inputs.message}", file=sys.stderr)
    if options.screenshot:
        write_image(options.screenshot, picture)


def fit_screen(settings: Settings) -> Settings:
    """Scale the window to the screen, unless the user's file says how large it is to be."""
    if "global_scale" in settings.written:
        return settings
    return settings.replaced(global_scale=fitting_scale(settings.window_panes, find_desktop()))


def run_window(options: argparse.Namespace, settings: Settings, display: Display) -> None:
    """Show the window until the user quits."""
    loop = make_loop(settings, options.image, True, load_apps(settings))
    try:
        layout = loop.screen.layout
        with (
            Window(loop.title, (layout.width, layout.height), display) as window,
            open_film(options, LiveFilm) as loop.film,
        ):
            run_live(loop, window)
    finally:
        loop.close()


def run_served(options: argparse.Namespace, settings: Settings, rules: Rules) -> None:
    """Show the window in browsers, until Ctrl-C, SIGTERM or the key for it."""
    viewers = FromViewers()
    hall = Hall(viewers)
    server = Server(rules, hall)  # before the network: a port that is taken is said at once
    try:
        if rules.framed:
            end_with_parent()
        else:
            announce(server, rules)
        loop = make_loop(settings, options.image, True, load_apps(settings), viewers)
        try:
            if rules.framed:  # a notebook hears of a broken model before it shows anything
                announce(server, rules)
            scale = None if "global_scale" in settings.written else settings.global_scale
            window = ServedWindow(
                loop.title, loop.screen.layout, scale, loop.bindings, hall, server
            )  # fmt: skip
            with (
                ended_by_signals(window.close),
                folders_hidden([Path.home(), Path.cwd(), settings_file.ROOT]),
                window,
                open_film(options, LiveFilm) as loop.film,
            ):
                run_live(loop, window)
        finally:
            loop.close()
    finally:
        server.close()


def write_tour(options: argparse.Namespace, settings: Settings, folder: Path) -> None:
    """Write the tour's pictures and say where they are."""
    loop = make_loop(
        for_script(at_first_layer(settings)), options.image, False, load_apps(settings)
    )
    try:
        for path, caption in run_tour(loop, TOUR, folder):
            print(f"  {path}  {caption}", flush=True)
    finally:
        loop.close()
    print(
        f"The tour's pictures are in {folder.resolve()}.\n"
        "To see it live, run 'make run' (or python live_vis.py) where there is a display: "
        "on a desktop, through 'ssh -X', or under 'xvfb-run' with a viewer."
    )


def read_settings(options: argparse.Namespace) -> Settings:
    """Read the settings, and change them as the command line says."""
    settings = settings_file.load(options.settings)
    if options.model is not None:
        settings = with_model(settings, options.model, options.weights, options.preset)
    if options.allow_python_layers:
        settings = settings.replaced(caffevis_allow_python_layers=True)
    if options.photos:
        settings = settings.replaced(caffevis_photos_dir=str(Path(options.photos).absolute()))
    if options.no_cache:
        settings = settings.replaced(caffevis_keep_scans=False)
    if options.image_input or options.hold:
        held = dict(parse_held(options.hold or ()))
        settings = settings.replaced(
            caffevis_image_input=options.image_input or settings.caffevis_image_input,
            caffevis_held_inputs={**settings.caffevis_held_inputs, **held},
        )
    return settings


def run(options: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    rules = read_rules(options)
    settings = read_settings(options)
    for note in settings.notes:
        print(f"note: {note}", file=sys.stderr)
    if options.record:
        check_film(options.record)
    if options.headless:
        run_headless(options, settings)
        return
    if options.tour:
        write_tour(options, settings, options.tour)
        return
    if rules is not None:
        run_served(options, settings, rules)
    else:
        run_on_display(options, settings)


def run_on_display(options: argparse.Namespace, settings: Settings) -> None:
    """Show the window, or where there is no display what is asked for then."""
    try:
        # Before the network is loaded: who has no display should not wait for that.
        display = Display()
    except NoDisplayError:
        if options.run_or_tour is None:
            raise
        print("There is no display here, so this is a tour in pictures.", flush=True)
        print(HINT, flush=True)
        write_tour(options, settings, options.run_or_tour)
        return
    with display:
        run_window(options, fit_screen(settings), display)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name.

    Returns
    -------
    int
        0, or 2 after one sentence on standard error.
    """
    options = parse(arguments)
    return exit_status("live_vis.py", lambda: run(options), USER_ERRORS)


if __name__ == "__main__":
    sys.exit(main())
