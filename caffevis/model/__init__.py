"""Opening what the settings name: in come files and settings, out a net, its layers and input."""
