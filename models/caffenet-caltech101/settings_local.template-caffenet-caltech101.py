# Settings for the bundled model (101 categories of Caltech-101). Without a settings_local.py
# the toolbox uses this model anyway: this is a start for your own changes.
# Copy this file to settings_local.py, beside settings.py, and edit it there. What it sets takes
# the place of the defaults in settings.py, which documents every setting.
# %DVT_ROOT% stands for the folder that settings.py is in.

# The model. The mean is one value a channel, blue first.
caffevis_deploy_prototxt = "%DVT_ROOT%/models/caffenet-caltech101/deploy.prototxt"
caffevis_network_weights = "%DVT_ROOT%/models/caffenet-caltech101/caffenet-caltech101.caffemodel"
caffevis_data_mean = (104, 117, 123)

# Class names: the layers whose units are classes, and the one whose values are probabilities.
caffevis_labels = "%DVT_ROOT%/models/caffenet-caltech101/labels.txt"
caffevis_label_layers = ("fc8", "prob")
caffevis_prob_layer = "prob"

# Where the window opens: a layer, a unit, a back pass. Left out, at the first layer.
caffevis_start = "conv5:71 deconv"

# Images of the units. A pooling layer's units are the convolution's, and so are their images;
# a probability's are its class's.
caffevis_unit_jpg_dir = "%DVT_ROOT%/models/caffenet-caltech101/unit_jpg_vis"
caffevis_jpgvis_remap = {
    "pool1": "conv1",
    "norm1": "conv1",
    "pool2": "conv2",
    "norm2": "conv2",
    "pool5": "conv5",
    "prob": "fc8",
}


def caffevis_layer_pretty_name_fn(name):
    """Shorten a layer's name for the control pane."""
    return name.replace("pool", "p").replace("norm", "n")


# Window and fonts: 1.0 is their designed size; left out, the window fits itself to the screen.
# global_scale = 1.0
# global_font_size = 1.0
