# SPDX-License-Identifier: GPL-2.0-only
"""Direct map of a machine built from a core."""

from __future__ import annotations

import numpy as np

from hvolab_vmcore.core.memory import first_new_pfn
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.replay.direct_map import build_direct_map
from hvolab_vmcore.replay.new_frames import NewFrames
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, scanned


def test_all_memory_is_mapped_outside_of_the_vmemmap() -> None:
    snapshot = open_snapshot(OPTIMIZED_2M)
    memory = snapshot.memory
    new = NewFrames(memory, first_new_pfn(snapshot.core, 12), np.unique(scanned(OPTIMIZED_2M).pages.frames))
    mapped, after = build_direct_map(snapshot, new)
    base = mapped.target.mode.direct_map_base
    for pa in (memory.base, memory.base + memory.size // 2, memory.base + memory.size - 4096):
        va = base + pa
        assert snapshot.region[1] <= va or va < snapshot.region[0]
        assert mapped.tables.frame_of(va) == pa >> 12
    assert mapped.tables.frame_of(after) is None
