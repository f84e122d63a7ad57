# Settings for caffenet-yos (1000 ImageNet classes). First run models/caffenet-yos/fetch.sh.
# Copy this file to settings_local.py, beside settings.py, and edit it there. What it sets takes
# the place of the defaults in settings.py, which documents every setting.
# %DVT_ROOT% stands for the folder that settings.py is in.

# The model.
caffevis_deploy_prototxt = "%DVT_ROOT%/models/caffenet-yos/caffenet-yos-deploy.prototxt"
caffevis_network_weights = "%DVT_ROOT%/models/caffenet-yos/caffenet-yos-weights"
caffevis_data_mean = "%DVT_ROOT%/models/caffenet-yos/ilsvrc_2012_mean.npy"

# Class names: the layers whose units are classes, and the one whose values are probabilities.
caffevis_labels = "%DVT_ROOT%/models/caffenet-yos/ilsvrc_2012_labels.txt"
caffevis_label_layers = ("fc8", "prob")
caffevis_prob_layer = "prob"

# Images of the units. A pooling layer's units are the convolution's, and so are their images.
caffevis_unit_jpg_dir = "%DVT_ROOT%/models/caffenet-yos/unit_jpg_vis"
caffevis_jpgvis_layers = [
    "conv1",
    "conv2",
    "conv3",
    "conv4",
    "conv5",
    "fc6",
    "fc7",
    "fc8",
    "prob",
]
caffevis_jpgvis_remap = {"pool1": "conv1", "pool2": "conv2", "pool5": "conv5"}


def caffevis_layer_pretty_name_fn(name):
    """Shorten a layer's name for the control pane."""
    return name.replace("pool", "p").replace("norm", "n")


# Window and fonts: 1.0 is their designed size; left out, the window fits itself to the screen.
# global_scale = 1.0
# global_font_size = 1.0
