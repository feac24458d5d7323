# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of a kernel's own HVO with the engine: from an image to every difference, in five steps.

1. `open_kernel()` of `hvolab_vmlinux` reads the image: code, symbols and types.
2. `identify` finds out which variant of HVO it has (`variant_of()`), `selection` the target and the scenarios.
3. `MachinePair` builds two equal machines: `Hvo` drives one as the engine, `KernelHvo` of `running` loads the kernel
   next to the other.
4. `MachinePair.run()` runs a step on both: on the second, `KernelCpu.call()` emulates the kernel's function, and
   handlers carry out its calls out of HVO on the machine.
5. `Comparer` does so for every scenario and every failing allocation, each time from a checkpoint; `differences`
   compares results, calls, counters and bytes, and `report` prints them.

`callers` does the same with the functions of hugetlb that call HVO, and hvolab's pools.
"""

from __future__ import annotations

from hvolab_kernel.comparison.comparer import Comparer, compare
from hvolab_kernel.comparison.machine_pair import MachinePair
from hvolab_kernel.comparison.scenarios import Operation, Scenario, ScenarioStep, scenarios_of
from hvolab_kernel.comparison.selection import target_of

__all__ = [
    "Comparer",
    "MachinePair",
    "Operation",
    "Scenario",
    "ScenarioStep",
    "compare",
    "scenarios_of",
    "target_of",
]
