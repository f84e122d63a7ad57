"""The Caffe app: every unit of every layer of a Caffe network, live.

State and its transitions (`state`, `keymap`), the network behind a worker
(`network`), and one drawing function a pane (`panes`).
"""
