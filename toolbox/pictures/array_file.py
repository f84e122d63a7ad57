"""What NumPy may raise while it reads a damaged .npy or .npz file."""

from __future__ import annotations

import tokenize
import zipfile
import zlib

# A header is read as Python's literals are, so damage there is a SyntaxError or worse.
DAMAGED = (
    OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, OverflowError,
    NotImplementedError, RecursionError, SyntaxError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
    RuntimeError,  # of a member whose flags say that it is encrypted
)  # fmt: skip
