"""The window and what feeds it: keys, sources, panes, text and the loop.

Nothing here knows of networks. An app (see `toolbox.app`) brings its own keys
and panes; the Caffe app is `caffevis`.
"""

import os

# OpenCV reads them once, so they are set before it is imported. A picture of more pixels is
# refused before its memory is taken: a file of 1 MB can decode to many gigabytes. And what
# FFmpeg would print of a damaged video, the status line says.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Qt would enlarge the window on a dense screen, by pixels; `desktop` has it drawn larger instead.
os.environ.setdefault("QT_ENABLE_HIGHDPI_SCALING", "0")
