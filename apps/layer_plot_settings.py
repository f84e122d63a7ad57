"""The bundled model with the example app beside it.

python live_vis.py --settings apps/layer_plot_settings.py
"""

installed_apps = (("caffevis.app", "CaffeVisApp"), ("apps.layer_plot", "LayerPlotApp"))

window_panes = (
    ("input", (0, 0, 300, 300)),
    ("caffevis_aux", (300, 0, 300, 300)),
    ("caffevis_back", (600, 0, 300, 300)),
    ("caffevis_status", (900, 0, 30, 1500)),
    ("caffevis_control", (0, 300, 30, 900)),
    ("caffevis_layers", (30, 300, 690, 900)),
    ("layer_plot", (720, 300, 180, 900)),
    ("caffevis_jpgvis", (0, 1200, 900, 300)),
)
