"""Names for the codes that key presses send, on every HighGUI back end.

`cv2.waitKeyEx` reports one number a press, and each back end numbers the keys
in its own way:

========  =====================================================================
Qt, GTK   X11 keysyms in the low 16 bits; GTK adds the modifier and lock state
          (X11's state mask) in the bits above
Win32     ASCII, or the virtual key code in the bits above the low 16
Cocoa     Unicode, arrows and the like in the private area from 0xf700
========  =====================================================================

`decode` turns such a number into a label ("a", "J", "pgdn") that bindings use,
so nothing else needs to know the platform. Run ``python -m toolbox.keys`` to
see what a press sends here and what it is bound to.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SHIFT_BIT, LOCK_BIT = 0x10000, 0x20000

# label -> codes: X11 keysym (Qt and GTK), X11 keypad keysym, Win32, Cocoa.
_SPECIAL: dict[str, tuple[int, ...]] = {
    "left": (0xFF51, 0xFF96, 0x250000, 0xF702),
    "up": (0xFF52, 0xFF97, 0x260000, 0xF700),
    "right": (0xFF53, 0xFF98, 0x270000, 0xF703),
    "down": (0xFF54, 0xFF99, 0x280000, 0xF701),
    "pgup": (0xFF55, 0xFF9A, 0x210000, 0xF72C),
    "pgdn": (0xFF56, 0xFF9B, 0x220000, 0xF72D),
    "home": (0xFF50, 0xFF95, 0x240000, 0xF729),
    "end": (0xFF57, 0xFF9C, 0x230000, 0xF72B),
    "insert": (0xFF63, 0xFF9E, 0x2D0000, 0xF727),
    "delete": (0xFFFF, 0xFF9F, 0x2E0000, 0xF728),
    "esc": (0x1B, 0xFF1B),
    "enter": (0x0D, 0x0A, 0xFF0D, 0xFF8D, 0x03),
    "tab": (0x09, 0xFF09),
    "backspace": (0x08, 0xFF08, 0x7F),
    "space": (0x20,),
    **{f"f{n}": (0xFFBD + n, 0x6F0000 + (n << 16), 0xF703 + n) for n in range(1, 13)},
}

# X11 keysyms of the keypad's own digits and signs.
_KEYPAD = {0xFFB0 + n: str(n) for n in range(10)} | {
    0xFFAA: "*", 0xFFAB: "+", 0xFFAD: "-", 0xFFAE: ".", 0xFFAF: "/",
}  # fmt: skip

# Keys that only modify others: X11's Shift to Hyper, the level shifts, the
# locks, Menu, and Win32's virtual key codes of the same.
_MODIFIERS = frozenset(
    [*range(0xFFE1, 0xFFEF), *range(0xFE01, 0xFE10), 0xFF7E, 0xFF7F, 0xFF14, 0xFF67]
    + [code << 16 for code in (0x10, 0x11, 0x12, 0x14, 0x5B, 0x5C, 0x90, 0x91)]
)

_PRINTABLE = {code: chr(code) for code in range(0x21, 0x7F)}

LABELS_BY_CODE = MappingProxyType(
    _PRINTABLE | _KEYPAD | {code: label for label, codes in _SPECIAL.items() for code in codes}
)
LABELS = frozenset(LABELS_BY_CODE.values())


# What a browser calls the keys that have no letter (`KeyboardEvent.key`); all others are what
# they write, so that capitals are told apart.
BROWSER_KEYS = MappingProxyType(
    {f"Arrow{label.title()}": label for label in ("left", "up", "right", "down")}
    | {
        "PageUp": "pgup", "PageDown": "pgdn", "Home": "home", "End": "end", "Insert": "insert",
        "Delete": "delete", "Escape": "esc", "Enter": "enter", "Tab": "tab",
        "Backspace": "backspace", " ": "space",
    }
    | {f"F{n}": f"f{n}" for n in range(1, 13)}
)  # fmt: skip


def browser_code(key: str) -> int | None:
    """Return the code of a key that a browser names.

    Parameters
    ----------
    key : str
        As `KeyboardEvent.key` has it: "a", "J", "ArrowLeft".

    Returns
    -------
    int or None
        A code for `decode`; None for a key that has no name here.
    """
    if key in BROWSER_KEYS:
        return _SPECIAL[BROWSER_KEYS[key]][0]
    return ord(key) if len(key) == 1 and ord(key) in _PRINTABLE else None


def decode(code: int) -> str | None:
    """Name the key that a code of `cv2.waitKeyEx` stands for.

    Parameters
    ----------
    code : int
        What `waitKeyEx` returned, with or without modifier bits.

    Returns
    -------
    str or None
        The key's label; None for no key (-1), a modifier alone, or a key that
        has no name here.
    """
    if code < 0 or code in _MODIFIERS:
        return None
    if code in LABELS_BY_CODE:
        return LABELS_BY_CODE[code]
    symbol = code & 0xFFFF
    if symbol in _MODIFIERS:
        return None
    label = LABELS_BY_CODE.get(symbol)
    # GTK applies Caps Lock to the letter; bindings mean the key as printed.
    if label is not None and len(label) == 1 and label.isalpha() and code & LOCK_BIT:
        return label.swapcase()
    return label


def describe(code: int, bound: Mapping[str, str]) -> str:
    """Say in one line what a code means and which action it has.

    Parameters
    ----------
    code : int
        What `waitKeyEx` returned.
    bound : mapping of str to str
        Tag of the action for each bound label.

    Returns
    -------
    str
        The line to print.
    """
    label = decode(code)
    if label is None:
        known = code & 0xFFFF in _MODIFIERS or code in _MODIFIERS
        return f"{code:#x}: " + ("a modifier alone, ignored" if known else "a key without a name")
    return f"{code:#x}: {label}: " + bound.get(label, "not bound")
