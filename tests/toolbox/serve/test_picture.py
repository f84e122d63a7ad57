"""What viewers are sent of the picture: what changed, roughly at once and exactly when still."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from toolbox.drawing.panes import make_layout
from toolbox.serve.picture import JPEG, PNG, STILL_SECONDS, Encoder, Frame, Seen
from toolbox.serve.regions import Region, joined, regions_of

PANES = (("input", (0, 0, 20, 30)), ("a", (0, 30, 40, 50)), ("b", (40, 30, 20, 20)))
LAYOUT = make_layout(PANES, [name for name, _ in PANES])


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def encoder(clock):
    encoder = Encoder(LAYOUT, lambda: None, clock)
    yield encoder
    encoder.close()


def noise(seed: int, layout=LAYOUT) -> np.ndarray:
    size = (layout.height, layout.width, 3)
    return np.random.default_rng(seed).integers(0, 255, size, dtype=np.uint8)


def decoded(data: bytes) -> np.ndarray:
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


class Page:
    """What a viewer's page does: draws parts into a picture."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.seen, self.picture = encoder, Seen(), None

    def look(self) -> list[str]:
        """Take a frame and return the kinds of its parts."""
        frame = self.encoder.frame(self.seen)
        if not isinstance(frame, Frame):
            return []
        if self.picture is None or self.picture.shape[:2] != (frame.height, frame.width):
            self.picture = np.zeros((frame.height, frame.width, 3), np.uint8)
        for part in frame.parts:
            part.region.of(self.picture)[:] = decoded(part.data)
        return [part.kind for part in frame.parts]

    def look_until_exact(self) -> list[str]:
        """Take frames until what is encoded beside is there."""
        kinds, end = [], time.monotonic() + 20
        while len(kinds) < len(regions_of(LAYOUT)) and time.monotonic() < end:
            kinds += self.look()
        return kinds


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.37, 1.63])
def test_regions_are_the_whole_window_once(scale):
    regions = regions_of(LAYOUT, scale)
    counts = np.zeros((round(LAYOUT.height * scale), round(LAYOUT.width * scale)), int)
    for region in regions:
        region.of(counts)[:] += 1
    assert (counts == 1).all()
    assert len(regions) >= len(PANES)


def test_a_thin_strip_goes_with_what_it_lies_along():
    panes = (("names", (0, 20, 5, 80)), ("units", (5, 20, 80, 80)), ("input", (0, 0, 85, 20)))
    regions = regions_of(make_layout(panes, [name for name, _ in panes]))
    assert set(regions) == {Region(0, 20, 85, 80), Region(0, 0, 85, 20)}


@pytest.mark.parametrize(
    ("apart", "together"),
    [
        ([(0, 0, 10, 20), (10, 0, 5, 20)], [(0, 0, 15, 20)]),
        ([(10, 0, 5, 20), (0, 0, 10, 20)], [(0, 0, 15, 20)]),
        ([(0, 0, 10, 20), (0, 20, 10, 5)], [(0, 0, 10, 25)]),
        ([(0, 0, 5, 8), (0, 8, 15, 9), (5, 0, 5, 8), (10, 0, 5, 8)], [(0, 0, 15, 17)]),
        ([(0, 0, 10, 20), (10, 0, 5, 19)], [(0, 0, 10, 20), (10, 0, 5, 19)]),
        ([(0, 0, 10, 20), (11, 0, 5, 20)], [(0, 0, 10, 20), (11, 0, 5, 20)]),
        ([(0, 0, 10, 20), (10, 20, 10, 20)], [(0, 0, 10, 20), (10, 20, 10, 20)]),
        ([], []),
    ],
)  # fmt: skip
def test_regions_that_make_a_rectangle_are_put_together(apart, together):
    found = joined(Region(*each) for each in apart)
    assert sorted((r.row, r.column, r.height, r.width) for r in found) == together


def test_panes_that_change_together_are_one_part_and_nothing_else_is_in_it(encoder):
    page, picture = Page(encoder), noise(60)
    encoder.put(picture)
    page.look()
    for name in ("a", "b"):
        LAYOUT.panes[name].of(picture)[:] ^= 128
    picture[40:, 50:] ^= 128  # right of b, below a
    encoder.put(picture)
    (part,) = encoder.frame(page.seen).parts
    assert part.region == Region(0, 30, 60, 50)
    assert decoded(part.data).shape == (60, 50, 3)


def test_one_pixel_that_changes_is_seen_wherever_it_is(encoder):
    page, picture = Page(encoder), np.zeros((LAYOUT.height, LAYOUT.width, 3), np.uint8)
    encoder.put(picture)
    page.look()
    for row in range(LAYOUT.panes["a"].height):
        picture[row, 79, 2] ^= 1
        encoder.put(picture)
        assert page.look() == [JPEG], row


def test_a_still_picture_comes_roughly_and_then_exactly(encoder, clock):
    page, picture = Page(encoder), noise(1)
    assert encoder.frame(page.seen) == float("inf")
    encoder.put(picture)
    assert set(page.look()) == {JPEG}
    assert not np.array_equal(page.picture, picture)
    assert encoder.frame(page.seen) == pytest.approx(STILL_SECONDS)
    clock.now += STILL_SECONDS + 0.01
    assert set(page.look_until_exact()) == {PNG}
    assert np.array_equal(page.picture, picture)
    assert encoder.frame(page.seen) == float("inf")


def test_only_what_changed_is_sent(encoder):
    page, picture = Page(encoder), noise(2)
    encoder.put(picture)
    page.look()
    LAYOUT.panes["a"].of(picture)[3, 3] ^= 255
    encoder.put(picture)
    frame = encoder.frame(page.seen)
    assert [(part.region.row, part.region.column) for part in frame.parts] == [(0, 30)]
    encoder.put(picture)
    assert isinstance(encoder.frame(page.seen), float)


def test_what_is_put_may_change_afterwards(encoder, clock):
    page, picture = Page(encoder), noise(3)
    before = picture.copy()
    encoder.put(picture)
    picture[:] = 0
    page.look()
    clock.now += STILL_SECONDS + 0.01
    page.look_until_exact()
    assert np.array_equal(page.picture, before)


def test_who_was_away_gets_the_newest_and_one_encoding_serves_all(encoder, clock):
    pages = [Page(encoder), Page(encoder)]
    encoder.put(noise(4))
    pages[0].look()
    for seed in range(5, 25):
        encoder.put(noise(seed))
        pages[0].look()
    first = encoder.frame(Seen())
    second = encoder.frame(Seen())
    assert all(a.data is b.data for a, b in zip(first.parts, second.parts, strict=True))
    assert pages[1].look() == [JPEG]
    clock.now += STILL_SECONDS + 0.01
    for page in pages:
        page.look_until_exact()
        assert np.array_equal(page.picture, noise(24))


def test_a_change_while_it_is_encoded_exactly_comes_after_it(encoder, clock):
    page = Page(encoder)
    encoder.put(noise(30))
    page.look()
    clock.now += STILL_SECONDS + 0.01
    page.look()  # has the exact parts made
    encoder.put(noise(31))
    assert set(page.look()) == {JPEG}
    clock.now += STILL_SECONDS + 0.01
    page.look_until_exact()
    assert np.array_equal(page.picture, noise(31))


def test_a_window_of_another_size_is_sent_anew(encoder, clock):
    page = Page(encoder)
    encoder.put(noise(40))
    page.look()
    layout = make_layout(PANES, [name for name, _ in PANES], 1.5)
    for picture in (noise(41, layout), noise(42)):
        encoder.put(picture)
        page.look()
        clock.now += STILL_SECONDS + 0.01
        page.look_until_exact()
        assert np.array_equal(page.picture, picture)


def test_a_size_that_the_panes_do_not_scale_to_is_one_region(encoder):
    encoder.put(np.zeros((11, 80, 3), np.uint8))
    frame = encoder.frame(Seen())
    assert [(p.region.height, p.region.width) for p in frame.parts] == [(11, 80)]


def test_nothing_is_kept_of_earlier_pictures(encoder):
    page = Page(encoder)
    for seed in range(50, 80):
        encoder.put(noise(seed))
        page.look()
    assert len(encoder._roughly) <= len(regions_of(LAYOUT))
    assert encoder._exactly == {}
    assert encoder.seconds > 0
