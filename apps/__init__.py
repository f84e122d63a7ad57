"""Apps that come with the toolbox as examples; `installed_apps` in the settings adds them."""
