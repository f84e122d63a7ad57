"""The paper's figures, each by one command: `python -m optimize.figures NAME`."""
