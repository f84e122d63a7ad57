"""A section counts what one image takes, whatever it was shown before."""

from __future__ import annotations

import torch

from optimize.net.section import Section, find_part


def test_the_values_of_an_image_do_not_grow_with_the_last_batch(chain):
    section = Section(chain, find_part(chain, ["conv2"]), (40, 40))
    before = section.sizes(), section.largest()
    assert before[1] == 3 * 40 * 40  # the image itself
    section.forward(torch.zeros(7, 3, 40, 40))
    assert (section.sizes(), section.largest()) == before
