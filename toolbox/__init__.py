"""The window and what feeds it: keys, sources, panes, text and the loop.

Nothing here knows of networks. An app (see `toolbox.app`) brings its own keys
and panes; the Caffe app is `caffevis`.
"""
