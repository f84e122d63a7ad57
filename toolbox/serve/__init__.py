"""The window in a browser: in come pictures and the loop's wishes, out keys, mouse and pictures.

`door.py` says who is let in, `server.py` serves the page and its viewers in a thread of its own,
`picture.py` encodes what changed, `sharing.py` knows who steers, and `window.py` is what drives
the loop in the place of HighGUI's window.
"""
