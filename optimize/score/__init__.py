"""How good images of units are, in numbers: see `python -m optimize.score --help`."""
