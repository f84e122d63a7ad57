"""The main loop and who drives it: in come apps and inputs, out a window, a picture or a tour."""
