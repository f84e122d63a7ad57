"""What classes are called: ImageNet's folders and numbers get their words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from find_maxes.errors import FindMaxesError, reason_of

_SYNSET = re.compile(r"(n\d{8})\s+(.+)")
_WHOLE = re.compile(r"\d{1,6}\Z")


def label_words(names: Sequence[str], labels_file: str | None) -> tuple[str, ...]:
    """Return a word for each class.

    Parameters
    ----------
    names : sequence of str
        Folders, or words or whole numbers of a list.
    labels_file : str or None
        The network's labels (`caffevis_labels`), one a line, as ImageNet's synset_words.txt. A
        class `n01440764` is what stands behind this word, the class 3 is the fourth line.

    Returns
    -------
    tuple of str
        A class that the file does not know keeps its name.

    Raises
    ------
    FindMaxesError
        The file cannot be read.
    """
    if labels_file is None or not any(_is_code(name) for name in names):
        return tuple(names)
    try:
        lines = Path(labels_file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is not a text file (UTF-8)"
        raise FindMaxesError(f"caffevis_labels: {labels_file} cannot be read: {why}") from error
    lines = [line.strip() for line in lines if line.strip()]
    found = [_SYNSET.fullmatch(line) for line in lines]
    words = {match[1]: match[2] for match in found if match}
    for number, (line, match) in enumerate(zip(lines, found, strict=True)):
        words.setdefault(str(number), match[2] if match else line)
    return tuple(words.get(name, name) for name in names)


def _is_code(name: str) -> bool:
    return bool(_WHOLE.match(name)) or bool(re.fullmatch(r"n\d{8}", name))
