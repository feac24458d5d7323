# SPDX-License-Identifier: GPL-2.0-only
"""Callers of HVO in a kernel's own mm/hugetlb.c, run on a machine and compared with hvolab's pools.

`functions` finds the kernel's functions, `hstate` places its hstates, nodes and lists of zones; `kernel_pool` calls the
functions, by the files in sysfs where there is one; `scenarios` has the steps as data; `pool_pair` runs them on two
machines, with the parts of `comparison`.
"""

from __future__ import annotations

from hvolab_kernel.comparison.callers.kernel_pool import KernelPool
from hvolab_kernel.comparison.callers.pool_pair import PoolComparer, PoolPair
from hvolab_kernel.comparison.callers.scenarios import PoolOperation, PoolScenario, PoolStep, pool_scenarios_of

__all__ = [
    "KernelPool",
    "PoolComparer",
    "PoolOperation",
    "PoolPair",
    "PoolScenario",
    "PoolStep",
    "pool_scenarios_of",
]
