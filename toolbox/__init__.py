"""The window and what feeds it: keys, sources, panes, text and the loop.

Nothing here knows of networks. An app (see `toolbox.app.protocol`) brings its own keys
and panes; the Caffe app is `caffevis`.
"""

import os

from toolbox.moved import keep_old_paths

# OpenCV reads them once, so they are set before it is imported. A picture of more pixels is
# refused before its memory is taken: a file of 1 MB can decode to many gigabytes. And what
# FFmpeg would print of a damaged video, the status line says.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Qt would enlarge the window on a dense screen, by pixels; `desktop` has it drawn larger instead.
os.environ.setdefault("QT_ENABLE_HIGHDPI_SCALING", "0")

# Old path -> new path, for programs and settings of users (see `toolbox.moved`).
_MOVED = {
    "base_app": "app.base_app",
    "bindings": "app.bindings",
    "cache": "workers.cache",
    "cluster": "workers.dask_cluster",
    "config": "settings.config",
    "core": "app.core",
    "core_panes": "app.core_panes",
    "desktop": "window.desktop",
    "drive": "run.drive",
    "files": "input.files",
    "filmfile": "record.film_file",
    "frame": "input.frame",
    "imagefile": "pictures.image_file",
    "images": "pictures.images",
    "inputs": "input.sources",
    "kinds": "settings.kinds",
    "lists": "input.lists",
    "loop": "run.loop",
    "moving": "input.video",
    "palettes": "drawing.palettes",
    "panes": "drawing.panes",
    "pointer": "window.pointer",
    "saver": "record.snapshots",
    "screen": "drawing.screen",
    "text": "drawing.text",
    "tiles": "drawing.tiles",
    "tour": "run.tour",
    "worker": "workers.worker",
}
keep_old_paths("toolbox", _MOVED)
