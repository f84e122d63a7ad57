"""The network behind the window: in goes a frozen request with a frame, out comes a result."""
