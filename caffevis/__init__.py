"""The Caffe app: every unit of every layer of a Caffe network, live.

State and its transitions (`state`, `keymap`), the network behind a worker
(`network`), and one drawing function a pane (`panes`).
"""

from toolbox.moved import keep_old_paths

# Old path -> new path, for programs and settings of users (see `toolbox.moved`).
_MOVED = {
    "fields": "net.receptive_fields",
    "histogram": "net.histogram",
    "keymap": "keys.keymap",
    "layers": "model.layer_list",
    "look": "panes.parts.look",
    "measures": "net.measures",
    "montage": "units.montage",
    "mouse": "panes.mouse",
    "network": "net.network",
    "panes.aux": "panes.aux_pane",
    "panes.chart": "panes.parts.chart",
    "panes.marks": "panes.parts.marks",
    "preprocess": "model.preprocess",
    "pycaffe": "model.pycaffe",
    "pycaffe_module": "model.pycaffe_module",
    "request": "net.request",
    "state": "keys.state",
    "transitions": "keys.transitions",
    "unit_images": "units.image_paths",
    "unit_loader": "units.loader",
}
keep_old_paths("caffevis", _MOVED)
