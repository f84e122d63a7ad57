"""Files changed at random, from a seed; and what any of them may end in."""

from __future__ import annotations

import contextlib
import io
import random
import re
import signal
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import pytest

import torchcaffe as caffe

Text = TypeVar("Text", str, bytes)
SECONDS = 5  # a case takes some milliseconds
CONSTANTS = ("0", "-1", "1e999", "99999999999999999999", '""', "null", "[]", "{}", "true", "NaN")


class Hang(Exception):
    """A case took longer than its time."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: object) -> NoReturn:
        raise Hang(f"longer than {seconds} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def attempt(
    what: str,
    action: Callable[[], object],
    refusals: tuple[type[Exception], ...] = (caffe.CaffeError,),
    seconds: float = SECONDS,
) -> bool:
    """Run an action; return whether it ended in one sentence of an expected error."""
    try:
        with deadline(seconds), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action()
    except refusals as error:
        text = str(error)
        assert text and "\n" not in text and len(text) < 5000, f"{what}: {text[:300]!r}"
        return True
    except Exception as error:  # noqa: BLE001
        pytest.fail(f"{what}: {type(error).__name__}: {error}")
    return False


def splice(rng: random.Random, text: Text, other: Text) -> Text:
    """Put a part of one file in place of a part of another (or of itself)."""
    a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    c, d = sorted(rng.randrange(len(other) + 1) for _ in range(2))
    return text[:a] + other[c:d] + text[b:]


def flip(rng: random.Random, data: bytes) -> bytes:
    """Turn one bit round."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def long_number(rng: random.Random, data: bytes) -> bytes:
    """Put a number of up to ten bytes over others: lengths, sizes, keys."""
    at = rng.randrange(len(data))
    size = rng.randrange(1, 11)
    number = bytes([rng.randrange(128, 256) for _ in range(size)] + [rng.randrange(128)])
    return data[:at] + number + data[at + rng.choice([0, size]) :]


BYTE_CHANGES: list[Callable[[random.Random, bytes], bytes]] = [
    flip,
    flip,
    flip,
    long_number,
    lambda rng, data: data[: rng.randrange(len(data))],
    lambda rng, data: splice(rng, data, data),
    lambda rng, data: data[: rng.randrange(len(data))] + rng.randbytes(20) + data,
]


def mutate_bytes(rng: random.Random, data: bytes, front: int) -> bytes:
    """Change the bytes; half of the changes are near the front, where the structure is."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        cut = min(front, len(data)) if rng.random() < 0.5 else 0
        part = data[:cut] if cut else data
        data = (rng.choice(BYTE_CHANGES)(rng, part) + data[len(part) :]) or b"\n"
    return data


def mutate_json(rng: random.Random, data: bytes) -> bytes:
    """Give a key another name or a value another's, so that most of it still is JSON."""
    text = data.decode(errors="replace")
    values = list(re.finditer(r'"[^"]*"|-?\d[\d.e+-]*|true|false|null', text))
    if not values:
        return mutate_bytes(rng, data, 60)
    one, other = rng.choice(values), rng.choice(values)
    new = rng.choice([other[0], rng.choice(CONSTANTS), ""])
    return (text[: one.start()] + new + text[one.end() :]).encode()


def mutate_zip(rng: random.Random, data: bytes, front: int) -> bytes:
    """Change what is in an archive and pack it again: its sums of bytes are right."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data, front)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    if rng.random() < 0.1:
        del members[name]
    elif members[name]:
        is_json = b'{"' in members[name][:200]
        content = members[name]
        members[name] = mutate_json(rng, content) if is_json else mutate_bytes(rng, content, 128)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()
