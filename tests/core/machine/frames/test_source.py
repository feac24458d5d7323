# SPDX-License-Identifier: GPL-2.0-only
"""The interface of page allocators, and the owners of a frame."""

from __future__ import annotations

import numpy as np

from hvolab.machine.frames.allocator import FrameAllocator
from hvolab.machine.frames.source import FrameSource, Owner
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec
from hvolab.release.gfp import GFP_KERNEL


def test_the_allocator_is_a_frame_source_and_reports_owners() -> None:
    allocator = FrameAllocator([ZoneSpec(ZoneKind.NORMAL, 0, (Extent(0, 64),))])
    source: FrameSource = allocator
    assert source.allocate(0, GFP_KERNEL, 0) == 0
    allocator.reserve(7, 1)
    assert [Owner(each) for each in allocator.owner(np.array([0, 1, 7]))] == [
        Owner.ALLOCATED,
        Owner.FREE,
        Owner.RESERVED,
    ]
