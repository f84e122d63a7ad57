# Settings for BVLC GoogLeNet (1000 ImageNet classes). First run models/bvlc-googlenet/fetch.sh.
# Copy this file to settings_local.py, beside settings.py, and edit it there. What it sets takes
# the place of the defaults in settings.py, which documents every setting.
# %DVT_ROOT% stands for the folder that settings.py is in.

# The model. The mean is one value a channel, blue first.
caffevis_deploy_prototxt = "%DVT_ROOT%/models/bvlc-googlenet/bvlc-googlenet-deploy.prototxt"
caffevis_network_weights = "%DVT_ROOT%/models/bvlc-googlenet/bvlc-googlenet.caffemodel"
caffevis_data_mean = (104, 117, 123)

# Class names: the layers whose units are classes, and the one whose values are probabilities.
caffevis_labels = "%DVT_ROOT%/models/caffenet-yos/ilsvrc_2012_labels.txt"
caffevis_label_layers = ("loss3/classifier", "prob")
caffevis_prob_layer = "prob"

# Images of the units. Nobody has published any: they are made while you look, and key 6 keeps them.
caffevis_unit_jpg_dir = "%DVT_ROOT%/models/bvlc-googlenet/unit_jpg_vis"

# Words of the layers' names, and what the control pane shows of them: there are many layers.
_SHORT = {
    "inception_": "i",
    "conv": "c",
    "pool": "p",
    "norm": "n",
    "output": "o",
    "reduce": "r",
}


def caffevis_layer_pretty_name_fn(name):
    """Shorten a layer's name; the status pane has it in full."""
    for word, short in _SHORT.items():
        name = name.replace(word, short)
    return name


def caffevis_filter_layers(name):
    """Say whether to leave a layer out: the copies that Caffe makes of shared blobs."""
    return "_split_" in name


# A control pane with room for the many layers.
_CONTROL_HEIGHT = 125
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
caffevis_control_fsize = 0.85

# Window and fonts: 1.0 is their designed size; left out, the window fits itself to the screen.
# global_scale = 1.0
# global_font_size = 1.0
