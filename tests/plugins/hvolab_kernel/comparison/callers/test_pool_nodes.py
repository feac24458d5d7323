# SPDX-License-Identifier: GPL-2.0-only
"""Requests of single nodes and surplus folios, by hvolab's pool and by the kernel's own code."""

from __future__ import annotations

import random

import pytest

from hvolab.hugetlb import Pool
from hvolab_kernel.comparison import target_of
from hvolab_kernel.comparison.callers import KernelPool, PoolComparer, PoolScenario
from hvolab_kernel.comparison.callers.pool_pair import counters_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

_ALL_NODES = -1


@pytest.mark.slow
@FETCHED
def test_nodes_have_requests_of_their_own_as_in_the_kernel(real_kernel: Kernel) -> None:
    target = target_of(real_kernel)
    scenario = PoolScenario("nodes", next(one for one in target.mode.huge_pages if one.size == 2 << 20), 2, (), ())
    pair = PoolComparer(target, real_kernel).pair(scenario)
    choose = random.Random(1)
    for _ in range(8):
        pair.begin(scenario)
        ours, theirs = pair.engine.pool, pair.kernel.pool
        assert isinstance(ours, Pool)
        assert isinstance(theirs, KernelPool)
        done: list[str] = []
        for _ in range(6):
            node, count = choose.choice([_ALL_NODES, 0, 1]), choose.randrange(6)
            done.append(f"{count} on {node}")
            if count == 5 and node != _ALL_NODES:  # one more, in use from now on
                assert ours.alloc_surplus(node) == theirs.alloc_surplus(node), done
            else:
                ours.set_max_huge_pages(count, None if node == _ALL_NODES else node)
                assert theirs.set_max_huge_pages(count, node) == 0, done
            counters = counters_of(theirs.h)
            assert {name: counters_of(ours.h)[name] for name in counters} == counters, done
            assert pair.engine.free_folios() == pair.kernel.free_folios(), done
