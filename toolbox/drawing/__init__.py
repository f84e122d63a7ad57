"""Panes of the window's buffer: in come values (activations, text, pictures), out pixels."""
