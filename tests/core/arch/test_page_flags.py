# SPDX-License-Identifier: GPL-2.0-only
"""Zone, node and last CPU stand at the top of a struct page's flags, as an architecture's kernels are configured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import PageFlags
from hvolab.errors import DescriptionError
from hvolab.release.releases import V6_1, V7_2
from tests.made_up import MADE_UP

FLAGS = PageFlags(zones=("DMA32", "NORMAL"), node_bits=2, zone_bits=1, cpupid_bits=14, releases=("6.1",))


def test_fields_stand_below_one_another() -> None:
    layout = FLAGS.applied(V6_1.struct_page)
    assert (layout.node_shift, layout.zone_shift, layout.last_cpupid_shift) == (62, 61, 47)
    assert (layout.node(3 << 62), layout.zone(1 << 61), layout.zone_number("DMA")) == (3, 1, 1)


def test_a_target_has_those_of_its_release() -> None:
    architecture = replace(MADE_UP, page_flags=(FLAGS,))
    assert architecture.select(release=V6_1).struct_page == FLAGS.applied(V6_1.struct_page)
    assert architecture.select(release=V7_2).struct_page == V7_2.struct_page
    assert (architecture.flags_of(V6_1), architecture.flags_of(V7_2)) == (FLAGS, None)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"releases": ("5.4",)}, "'5.4' is not a release"),
        ({"node_bits": "ten"}, "PageFlags.node_bits is 'ten'"),
        ({"zones": ("DMA32", "MOVABLE")}, "the zones are DMA32, MOVABLE"),
        ({"zones": ("NORMAL", "NORMAL")}, "the zones are NORMAL, NORMAL"),
        ({"zones": ("DMA", "DMA32", "NORMAL")}, "3 zones do not fit into 1 bits"),
        ({"node_bits": 10, "cpupid_bits": 34}, r"node, zone and last CPU have 10 \+ 1 \+ 34 bits"),
        ({"node_bits": -1}, r"have -1 \+ 1 \+ 14 bits"),
    ],
)
def test_wrong_ones_are_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(DescriptionError, match=match):
        replace(MADE_UP, page_flags=(replace(FLAGS, **change),)).check()  # type: ignore[arg-type]
