# SPDX-License-Identifier: GPL-2.0-only
"""Outside calls of HVO, derived from events."""

from __future__ import annotations

import numpy as np

from hvolab.trace import GracePeriod, PagesAllocated, PagesFreed
from hvolab_kernel.comparison.calls import as_inlined, calls_of, describe_call


def test_calls_are_described_with_the_kernels_names() -> None:
    assert describe_call(("allocate", 0xCC0, 0, 0, None)) == "allocate(GFP_KERNEL, order 0, node 0) = null"
    assert describe_call(("free", "put_page_bootmem", 0, 16)) == "put_page_bootmem(PFN 0x10, order 0)"
    assert describe_call(None) == "no further call"


def test_inline_flushes_of_long_ranges_flush_everything() -> None:
    calls = [("flush range", 0, 4096), ("rcu",), ("flush range", 0, 8192)]
    assert as_inlined(calls, 4096) == [("flush range", 0, 4096), ("rcu",), ("flush all",)]


def test_events_become_calls_in_order_one_for_each_frame() -> None:
    pfns = np.array([5, 6], dtype=np.int64)
    events = [PagesAllocated(0xCC0, 0, 0, pfns, failed=True), GracePeriod(), PagesFreed(pfns, 0, "free_pages")]
    assert calls_of(events) == [
        *(("allocate", 0xCC0, 0, 0, pfn) for pfn in (5, 6, None)),
        ("rcu",),
        *(("free", "free_pages", 0, pfn) for pfn in (5, 6)),
    ]
