"""The desktop: in comes a buffer to show, out come keys and mouse events (OpenCV's HighGUI)."""

from toolbox.window.highgui import Display, NoDisplayError, Window

__all__ = ["Display", "NoDisplayError", "Window"]
