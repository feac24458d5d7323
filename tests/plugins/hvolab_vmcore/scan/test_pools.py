# SPDX-License-Identifier: GPL-2.0-only
"""Pools of a scan."""

from __future__ import annotations

from hvolab_vmcore.scan.pools import pools
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_1G, made, scanned


def test_pools_add_up_to_what_is_saved() -> None:
    for core in (OPTIMIZED_1G, made("x86_64-7.2", "3-one-1G"), made("x86_64-6.1", "3-one-1G")):
        found = scanned(core)
        assert sum(pool.frames_saved for pool in pools(found)) == found.savings.frames > 0
        assert [pool.node for pool in pools(found)] == [0, 0]
