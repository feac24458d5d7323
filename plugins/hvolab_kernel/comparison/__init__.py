"""A kernel's own HVO and the engine side by side: the same scenarios, from the same bytes, and every difference."""

from __future__ import annotations

from hvolab_kernel.comparison.comparer import Comparer, KernelComparison, compare
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.machine_pair import MachinePair
from hvolab_kernel.comparison.scenarios import Operation, Scenario, ScenarioStep, scenarios_of
from hvolab_kernel.comparison.selection import target_of

__all__ = [
    "Comparer",
    "KernelComparison",
    "MachinePair",
    "Operation",
    "Scenario",
    "ScenarioStep",
    "StateDifference",
    "compare",
    "scenarios_of",
    "target_of",
]
