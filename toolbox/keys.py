"""`python -m toolbox.keys`: what each key press sends, and what it is bound to."""

from __future__ import annotations

import sys

from toolbox.app.protocol import bound_keys, configured_apps
from toolbox.settings.config import SettingsError
from toolbox.window.highgui import NoDisplayError, Window
from toolbox.window.key_codes import LABELS, LABELS_BY_CODE, decode, describe

__all__ = ["LABELS", "LABELS_BY_CODE", "decode", "describe", "main"]


def main() -> int:
    """Print what each key press sends until `q` is pressed or the window closes.

    Returns
    -------
    int
        Exit code: 0, or 2 where there is no display or the settings are wrong.
    """
    try:
        bound = bound_keys(configured_apps())
        window = Window("Press keys, q quits", (480, 120))
    except (SettingsError, NoDisplayError) as error:
        print(error, file=sys.stderr)
        return 2
    with window:
        while window.is_open():
            for code in window.poll_codes(20):
                print(describe(code, bound), flush=True)
                if decode(code) == "q":
                    return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
