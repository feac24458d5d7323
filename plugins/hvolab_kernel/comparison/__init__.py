"""A kernel's own HVO and the engine side by side: the same scenarios, from the same bytes, and every difference."""

from __future__ import annotations

from .bed import Bed
from .choosing import target_of
from .comparing import Comparer, Comparison, compare
from .differences import Difference
from .scenarios import Operation, Scenario, Step, scenarios_of

__all__ = [
    "Bed",
    "Comparer",
    "Comparison",
    "Difference",
    "Operation",
    "Scenario",
    "Step",
    "compare",
    "scenarios_of",
    "target_of",
]
