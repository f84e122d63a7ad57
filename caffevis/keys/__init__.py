"""The app's state and its keys: in come a state and a key's row, out comes the next state."""
