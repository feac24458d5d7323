# SPDX-License-Identifier: GPL-2.0-only
"""Functions of a kernel's mm/hugetlb.c that operations on its pools call, as far as an image has them.

Kernel: mm/hugetlb.c, v6.1, v6.12, v7.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from hvolab_kernel.comparison.callers.scenarios import PoolOperation, PoolScenario
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel

#: Names of the function of each operation: since folios, and before. The parameters are the same.
NAMES: Final = {
    PoolOperation.RESIZE: ("nr_hugepages_store",),
    PoolOperation.ALLOC_SURPLUS: ("alloc_surplus_hugetlb_folio", "alloc_surplus_huge_page"),
    PoolOperation.DEQUEUE: ("dequeue_hugetlb_folio_nodemask", "dequeue_huge_page_nodemask"),
    PoolOperation.PUT: ("free_huge_folio", "free_huge_page"),
    PoolOperation.DISSOLVE: ("dissolve_free_hugetlb_folio", "dissolve_free_huge_page"),
    PoolOperation.DEMOTE: ("demote_store",),
    PoolOperation.RESERVE: ("hugetlb_acct_memory", "hugetlb_acct_memory.part.0"),
    PoolOperation.UNRESERVE: ("hugetlb_acct_memory", "hugetlb_acct_memory.part.0"),
    PoolOperation.DEQUEUE_RESERVED: ("alloc_hugetlb_folio_reserve",),
    PoolOperation.POISON: ("memory_failure",),
    PoolOperation.POISON_UNRECORDED: ("memory_failure",),
    PoolOperation.ALLOC_TEMPORARY: ("alloc_hugetlb_folio_nodemask", "alloc_huge_page_nodemask"),
}
#: Function that limits surplus.
OVERCOMMIT: Final = "nr_overcommit_hugepages_store"
#: Functions that call HVO, without compilers' suffixes.
_CALLERS: Final = (
    "prep_and_add_allocated_folios",
    "update_and_free_pages_bulk",
    "alloc_fresh_hugetlb_folio",
    "alloc_surplus_hugetlb_folio",
    "alloc_hugetlb_folio_nodemask",
    "alloc_huge_page_nodemask",
    "gather_surplus_pages",
    "hugetlb_acct_memory",
    "return_unused_surplus_pages",
    "__update_and_free_hugetlb_folio",
    "dissolve_free_hugetlb_folio",
    "demote_store",
    "demote_pool_huge_page",
    "__prep_new_huge_page",
    "__update_and_free_page",
    "dissolve_free_huge_page",
)
_Scenario = TypeVar("_Scenario", bound=PoolScenario)


@dataclass(frozen=True)
class PoolFunctions:
    """Functions of one kernel.

    names    the function of each operation that has one
    missing  the operations without one, and the reason
    callers  the functions that call HVO
    """

    names: dict[PoolOperation, str]
    missing: dict[PoolOperation, str]
    callers: tuple[str, ...]

    def runnable(self, scenarios: Iterable[_Scenario]) -> tuple[_Scenario, ...]:
        """Return the scenarios whose operations the kernel has."""
        return tuple(
            one for one in scenarios if not any(step.operation in self.missing for step in (*one.prelude, *one.steps))
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for a report: which scenarios are left out, and the reason."""
        return tuple(f"scenarios with {operation.name.lower()}: {why}" for operation, why in self.missing.items())


def functions_of(kernel: Kernel) -> PoolFunctions:
    """Return the functions that an image has as symbols; raises KernelImageError where no pool can be filled."""
    found: dict[PoolOperation, str] = {}
    missing: dict[PoolOperation, str] = {}
    for operation, names in NAMES.items():
        present = [name for name in names if kernel.symbols.find(name) is not None]
        if present:
            found[operation] = present[0]
        else:
            missing[operation] = f"the image has no function {' or '.join(names)}"
    essential = [missing[operation] for operation in (PoolOperation.RESIZE,) if operation in missing]
    if kernel.symbols.find(OVERCOMMIT) is None:
        essential.append(f"the image has no function {OVERCOMMIT}")
    if essential:
        raise KernelImageError(
            f"cannot run the pools of this kernel: {'; '.join(essential)}",
            where=kernel.image.release,
            rule="mm/hugetlb.c, v6.1, v6.12 or v7.2, built with SYSFS",
            hint="compare its HVO, without --callers",
        )
    callers = (one for name in _CALLERS for one in kernel.symbols.variants(name))
    return PoolFunctions(found, missing, tuple(callers))
