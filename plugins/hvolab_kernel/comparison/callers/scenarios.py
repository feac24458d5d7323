# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios in which a kernel's hugetlb functions are compared with hvolab's pool, as data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from hvolab.arch import HugePageSize, Target
from hvolab.units import format_short
from hvolab_kernel.comparison.scenarios import ScenarioData

#: Memory of a node, and the largest huge page in a scenario.
_MEMORY, _LARGEST = 512 << 20, 1 << 30


class PoolOperation(enum.Enum):
    """Operation on a pool. The value is the kernel's function."""

    RESIZE = "set_max_huge_pages"
    ALLOC_SURPLUS = "alloc_surplus_hugetlb_folio"
    DEQUEUE = "dequeue_hugetlb_folio_nodemask"
    PUT = "free_huge_folio"
    DISSOLVE = "dissolve_free_hugetlb_folio"
    DEMOTE = "demote_store"
    RESERVE = "hugetlb_acct_memory"
    UNRESERVE = "return_unused_surplus_pages"
    DEQUEUE_RESERVED = "alloc_hugetlb_folio_reserve"
    ALLOC_TEMPORARY = "alloc_hugetlb_folio_nodemask"
    POISON = "memory_failure"
    POISON_UNRECORDED = "memory_failure without memory for a record"
    SWITCH_OFF = "vm.hugetlb_optimize_vmemmap = 0"


@dataclass(frozen=True)
class PoolStep:
    """One operation on a pool.

    number  RESIZE, DEMOTE, RESERVE, UNRESERVE: the number of huge pages; PUT: the position among the folios in use, the
            oldest first; DISSOLVE: the position on the free list of the first node with one; ALLOC_SURPLUS: the node;
            POISON, POISON_UNRECORDED: the position of the folio among the free ones, node by node, then those in use
    """

    operation: PoolOperation
    number: int = 0

    def __str__(self) -> str:
        return f"{self.operation.name.lower()}({self.number})"


@dataclass(frozen=True)
class PoolScenarioData(ScenarioData):
    """Scenario of the functions that call HVO, on the pool of one huge page size in bytes."""

    huge_page: int
    nodes: int


@dataclass(frozen=True)
class PoolScenario:
    """Steps on the pool of one huge page size.

    name       such as ``2M pool: grow``
    huge_page  the size
    nodes      NUMA nodes of the machine
    prelude    steps that lead to the initial state; no allocation fails in them
    steps      steps that are compared, also with failing allocations
    """

    name: str
    huge_page: HugePageSize
    nodes: int
    prelude: tuple[PoolStep, ...]
    steps: tuple[PoolStep, ...]

    @property
    def gigantic(self) -> bool:
        """True if the folios need a large machine."""
        return self.huge_page.size >= _LARGEST

    @property
    def memory(self) -> int:
        """Bytes of a machine with room for the folios."""
        return 4 * _LARGEST if self.gigantic else self.nodes * _MEMORY

    def data(self) -> PoolScenarioData:
        """Return the scenario for JSON."""
        prelude, steps = (tuple(map(str, steps)) for steps in (self.prelude, self.steps))
        return PoolScenarioData(self.name, prelude, steps, self.huge_page.size, self.nodes)


def _resize(count: int) -> PoolStep:
    return PoolStep(PoolOperation.RESIZE, count)


def _reserve(count: int) -> PoolStep:
    return PoolStep(PoolOperation.RESERVE, count)


def _unreserve(count: int) -> PoolStep:
    return PoolStep(PoolOperation.UNRESERVE, count)


def _poison(folio: int) -> PoolStep:
    return PoolStep(PoolOperation.POISON, folio)


_Templates = tuple[tuple[str, tuple[PoolStep, ...], tuple[PoolStep, ...]], ...]
_DEQUEUE, _SURPLUS = PoolStep(PoolOperation.DEQUEUE), PoolStep(PoolOperation.ALLOC_SURPLUS)
_PUT, _DISSOLVE = PoolStep(PoolOperation.PUT), PoolStep(PoolOperation.DISSOLVE)
_RESERVED, _TEMPORARY = PoolStep(PoolOperation.DEQUEUE_RESERVED), PoolStep(PoolOperation.ALLOC_TEMPORARY)
_UNRECORDED: Final = PoolStep(PoolOperation.POISON_UNRECORDED)
_OFF: Final = PoolStep(PoolOperation.SWITCH_OFF)
#: Title, prelude and steps of each scenario.
_TEMPLATES: Final[_Templates] = (
    ("grow", (), (_resize(4),)),
    ("grow further", (_resize(2),), (_resize(5),)),
    ("grow, switched off", (_OFF,), (_resize(3),)),
    ("shrink", (_resize(4),), (_resize(1),)),
    ("shrink to none", (_resize(3),), (_resize(0),)),
    ("shrink, none optimized", (_OFF, _resize(3)), (_resize(0),)),
    ("shrink, and grow again", (_resize(3),), (_resize(0), _resize(3))),
    ("shrink below what is in use", (_resize(4), _DEQUEUE, _DEQUEUE), (_resize(1),)),
    ("grow over surplus", (_resize(3), _DEQUEUE, _DEQUEUE, _resize(1)), (_resize(4),)),
    ("free in use", (_resize(2), _DEQUEUE), (_PUT,)),
    ("free surplus", (_resize(3), _DEQUEUE, _DEQUEUE, _resize(0)), (_PUT, _PUT)),
    ("surplus", (), (_SURPLUS,)),
    ("surplus, freed", (_resize(1), _SURPLUS), (_PUT,)),
    ("surplus, shrunk and freed", (_resize(3), _SURPLUS), (_resize(1), _PUT)),
    ("dissolve", (_resize(3),), (_DISSOLVE,)),
    ("dissolve, not optimized", (_OFF, _resize(2)), (_DISSOLVE,)),
    ("dissolve all", (_resize(2),), (_DISSOLVE, _DISSOLVE, _resize(2))),
    ("dissolve with surplus", (_resize(2), _SURPLUS), (_DISSOLVE,)),
    ("reserve", (_resize(3),), (_reserve(2), _unreserve(1))),
    ("reserve with surplus", (_resize(1),), (_reserve(3),)),
    ("reserve with surplus, released", (_resize(1), _reserve(3)), (_unreserve(2),)),
    ("reserve, all in use", (_resize(1), _DEQUEUE), (_reserve(2), _unreserve(2))),
    ("reserved, shrink", (_resize(4), _reserve(2)), (_resize(1),)),
    ("reserved, grow over surplus", (_resize(1), _reserve(2)), (_resize(3), _unreserve(2))),
    ("reserved, dissolve", (_resize(2), _reserve(2)), (_DISSOLVE,)),
    ("reserved, used and freed", (_resize(2), _reserve(2)), (_RESERVED, _PUT, _unreserve(1))),
    ("poison", (_resize(2),), (_poison(0),)),
    ("poison, not optimized", (_OFF, _resize(2)), (_poison(1),)),
    ("poison, with surplus", (_resize(1), _SURPLUS, _PUT, _resize(2)), (_poison(0), _poison(0))),
    ("poison, reserved", (_resize(1), _reserve(1)), (_poison(0), _poison(0), _unreserve(1), _resize(0))),
    ("poison, unrecorded", (_resize(2),), (_UNRECORDED, _resize(0))),
    ("poison in use, freed", (_resize(1), _DEQUEUE), (_poison(0), _PUT, _DEQUEUE, _resize(0))),
    ("poison in use, dissolved", (_resize(1), _DEQUEUE, _poison(0), _PUT), (_DISSOLVE,)),
    ("poison in use, grown", (_resize(1), _DEQUEUE, _poison(0), _PUT), (_resize(2), _DEQUEUE)),
    ("poison in use, unrecorded", (_resize(1), _DEQUEUE, _UNRECORDED, _PUT), (_poison(0), _resize(0))),
    ("temporary", (), (_TEMPORARY, _PUT)),
    ("temporary, of the pool", (_resize(1),), (_TEMPORARY, _TEMPORARY, _PUT, _PUT)),
    ("temporary, shrunk to none", (_resize(2), _DEQUEUE, _TEMPORARY, _TEMPORARY), (_resize(0), _PUT, _PUT, _PUT)),
    ("temporary, freed after all", (_TEMPORARY,), (_resize(1), _resize(0), _PUT)),
)
#: The same, of gigantic pages.
_GIGANTIC: Final[_Templates] = (
    ("grow and shrink", (), (_resize(1), _resize(0))),
    ("demote", (_resize(2),), (PoolStep(PoolOperation.DEMOTE, 1),)),
    ("demote, not optimized", (_OFF, _resize(1)), (PoolStep(PoolOperation.DEMOTE, 1), _resize(0))),
)


def pool_scenarios_of(target: Target) -> tuple[PoolScenario, ...]:
    """Return every scenario for a target: of the leaf above the last level on one node and on two, and of 1 GiB."""
    mode = target.mode
    middle = mode.levels[-2].size
    chosen = [(one, nodes, _TEMPLATES) for one in mode.huge_pages if one.size == middle for nodes in (1, 2)]
    chosen += [(one, 1, _GIGANTIC) for one in mode.huge_pages if one.size == _LARGEST]
    return tuple(
        PoolScenario(
            f"{format_short(huge_page.size)} pool{' on two nodes' if nodes > 1 else ''}: {title}",
            huge_page,
            nodes,
            prelude,
            steps,
        )
        for huge_page, nodes, templates in chosen
        for title, prelude, steps in templates
    )
