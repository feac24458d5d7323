# SPDX-License-Identifier: GPL-2.0-only
"""Historic bugs that the explorer finds, each with its fix and the code without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hvolab.hugetlb import Pool
from hvolab.hvo import Hvo
from hvolab.machine import VmemmapBacking
from hvolab_explorer.world.world import EngineOfCpu, World
from tests.plugins.hvolab_explorer.historic import engines, pools, worlds


@dataclass(frozen=True)
class Without:
    """Code with a fix taken out.

    engine, pool  in place of the engine and the pool
    world         changes the machine
    patches       functions in place of others, by their names
    actors        actors in place of those of the bug
    """

    engine: EngineOfCpu = Hvo
    pool: type[Pool] = Pool
    world: Callable[[World], None] | None = None
    patches: tuple[tuple[str, object], ...] = ()
    actors: str = ""


@dataclass(frozen=True)
class HistoricBug:
    """A bug, and how it is found.

    number   its number
    fix      the fix: commit or subject, and release
    wrong    what the code does without the fix
    actors   the actors
    without  the code without the fix
    finding  words of the finding
    own      what was written for this bug: an oracle or an actor; empty: nothing
    later    the finding is not the first one
    arch, release, failures, ordered  as the options of the command
    state    how the world differs from what the actors ask for
    long     exploring every class with the fix takes seconds
    check    what is wrong at the end of a schedule, where no oracle of the explorer looks
    """

    number: str
    fix: str
    wrong: str
    actors: str
    without: Without
    finding: str
    own: str = ""
    later: bool = False
    arch: str = "x86_64"
    release: str = "6.12"
    failures: int = 0
    ordered: bool = False
    state: Mapping[str, Any] = field(default_factory=dict)
    long: bool = False
    check: Callable[[World], list[str]] | None = None


def _grace_periods(world: World) -> list[str]:
    """B26: the operation waits for as many grace periods as it has folios."""
    waited = world.machine.grace_periods
    return [f"{waited} grace periods in one demotion"] if waited > _MOST_GRACE_PERIODS else []


#: To optimize a folio before, to restore the list of one, and to optimize the list of its parts.
_MOST_GRACE_PERIODS = 3
_LEAF: Mapping[str, Any] = {"split": False}
_OTHER_NODE: Mapping[str, Any] = {"nodes": 2, "movable": True}

BUGS: tuple[HistoricBug, ...] = (
    HistoricBug(
        "B01",
        'd8d55f5616cf ("mm: sparsemem: use page table lock to protect kernel pmd operations", v5.17)',
        "two CPUs split one PMD without looking again",
        "optimize A, optimize B",
        Without(engines.with_walker(engines.WithoutRecheck)),
        "invariant",
        state=_LEAF,
    ),
    HistoricBug(
        "B02",
        '"mm: hugetlb_vmemmap: add missing smp_wmb() before set_pte_at()" (v6.1)',
        "a restored page is mapped before its content is written",
        "restore A",
        Without(world=worlds.no_barrier),
        "barriers",
    ),
    HistoricBug(
        "B03",
        '060a2c92d1b6 ("arm64: mm: hugetlb: Disable HUGETLB_PAGE_OPTIMIZE_VMEMMAP"), and the series of 2026',
        "a live entry is replaced by a plain store",
        "optimize A",
        Without(engines.changed(engines.stores_plainly)),
        "live_entries",
        arch="arm64",
        release="mm-2026",
    ),
    HistoricBug(
        "B04",
        '"bootmem: remove the vmemmap pages from kmemleak in free_bootmem_page" (2022)',
        "kmemleak reads pages of boot that are freed",
        "optimize A, kmemleak A.64",
        Without(world=worlds.kmemleak_keeps_all),
        "reads a free frame",
    ),
    HistoricBug(
        "B06",
        '3ce2c24cb68f ("mm/hugetlb_vmemmap: fix a race between vmemmap pmd split", v6.6)',
        "the frame of a leaf is read after another CPU has split it",
        "optimize A, optimize B",
        Without(engines.with_walker(engines.ReadTwice)),
        "a page table",
        state=_LEAF,
    ),
    HistoricBug(
        "B07",
        '32c877191e02 ("hugetlb: do not clear hugetlb dtor until allocating vmemmap", v6.5)',
        "a folio loses its type before its vmemmap is restored",
        "dissolve A, memory-failure A.70",
        Without(pool=pools.ClearsMarkAtRemoval),
        "faults: permission",
        later=True,
        long=True,
    ),
    HistoricBug(
        "B08",
        'd8f5f7e445f0 ("hugetlb: set hugetlb page flag before optimizing vmemmap", v6.7)',
        "a new folio gets its type after it is optimized",
        "add A",
        Without(pool=pools.MarksLate),
        "no hugetlb type",
    ),
    HistoricBug(
        "B09",
        '30a89adf872d ("hugetlb: check for hugetlb folio before vmemmap_restore", v6.7)',
        "a folio without the hugetlb type is restored",
        "memory-failure A.70",
        Without(pool=pools.RestoresAny),
        "no hugetlb type",
    ),
    HistoricBug(
        "B10",
        '6c1419730822 ("hugetlb: clear flags in tail pages that will be freed individually", v6.6)',
        "flags of tails are cleared before they are restored",
        "surplus",
        Without(pool=pools.ClearsFlagsOfTails),
        "faults: permission",
    ),
    HistoricBug(
        "B11",
        '2eaa6c2abb9d ("mm: hugetlb_vmemmap: fix hugetlb page number decrease failed on movable nodes", v6.7)',
        "pages of a restored folio must come from its node, which has only movable memory",
        "shrink A",
        Without(engines.changed(engines.restores_on_node)),
        "has free memory",
        ordered=True,
        state=_OTHER_NODE,
    ),
    HistoricBug(
        "B12",
        '6a898c2757af ("mm: hugetlb_vmemmap: allow alloc vmemmap pages fallback to other nodes", v6.7)',
        "the new head page must come from the folio's node",
        "optimize A",
        Without(engines.changed(engines.allocates_head_on_node)),
        "has free memory",
        ordered=True,
        state=_OTHER_NODE,
    ),
    HistoricBug(
        "B14",
        'f13b83fdd996 ("hugetlb: batch TLB flushes when freeing vmemmap", v6.7), before its last version',
        "the flag is set after the remap, through a stale translation",
        "optimize-list A",
        Without(engines.LateFlag),
        "invariant",
    ),
    HistoricBug(
        "B16",
        'cfb8c75099db ("hugetlb: perform vmemmap restoration on a list of pages", v6.7), before its last version',
        "a folio that cannot be restored is on two lists",
        "shrink A",
        Without(pool=pools.KeepsOnList),
        "",
        failures=2,
    ),
    HistoricBug(
        "B18",
        '52ccdde16b65 ("mm/hugetlb: fix DEBUG_LOCKS_WARN_ON(1) when dissolve_free_hugetlb_folio()", v6.9)',
        "a folio is freed with the hugetlb type",
        "dissolve A",
        Without(pool=pools.ClearsMarkOfOptimized),
        "freed with the hugetlb type",
    ),
    HistoricBug(
        "B19",
        '1983184c22dd ("mm/memory-failure: fix deadlock when hugetlb_optimize_vmemmap is enabled", v6.9)',
        "the static key changes under the lock of the lists of free pages",
        "memory-failure A.70, cpu-hotplug",
        Without(patches=(("hvolab_explorer.actors.memory_failure.page_handle_poison", pools.dissolve_under_lock),)),
        "circle|deadlock",
        state={"optimized": frozenset({0})},
    ),
    HistoricBug(
        "B20",
        '5596d9e8b553 ("mm/hugetlb: fix potential race in __update_and_free_hugetlb_folio()", v6.11)',
        "a memory error is recorded after the records were moved",
        "dissolve A, memory-failure A.70",
        Without(pool=pools.MovesPoisonFirst, patches=(("hvolab.hugetlb.pool.clear_hwpoison", lambda *_: None),)),
        "poison",
        long=True,
    ),
    HistoricBug(
        "B21",
        '"mm/hugetlb: fix kernel NULL pointer dereference when replacing free hugetlb folios" (2025)',
        "the type of a folio is tested without the lock",
        "dissolve A, replace A",
        Without(patches=(("hvolab.hugetlb.replace.find_hstate", pools.find_hstate_without_lock),)),
        "no hugetlb type",
        own="actor",
        state={"enabled": False, "optimized": frozenset()},
    ),
    HistoricBug(
        "B22",
        '15995a352474 ("mm: report per-page metadata information", v6.11), before its fixes',
        "pages are counted before their allocation, which fails",
        "restore A",
        Without(engines.changed(engines.counts_first)),
        "counters",
        failures=1,
    ),
    HistoricBug(
        "B24",
        'bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers", v6.11)',
        "tails become read-only without a grace period",
        "recycle A.64, taker A.64",
        Without(engines.WithoutGracePeriod),
        "faults: permission",
        later=True,
        state=_LEAF,
    ),
    HistoricBug(
        "B25",
        'c2a967f6ab0e ("mm/hugetlb_vmemmap: don\'t synchronize_rcu() without HVO", v6.11)',
        "a grace period passes before anything is known to change",
        "optimize A",
        Without(engines.WaitsFirst),
        "flushes",
        own="rule",
    ),
    HistoricBug(
        "B26",
        'c0f398c3b2cf ("mm/hugetlb_vmemmap: batch HVO work when demoting", v6.12)',
        "the parts of a demoted folio wait for a grace period each",
        "demote A",
        Without(pool=pools.OptimizesOneByOne),
        "grace periods in one demotion",
        own="check",
        arch="arm64",
        release="mm-2026",
        check=_grace_periods,
    ),
    HistoricBug(
        "B27",
        '64e2f60f355e ("s390: Disable ARCH_WANT_OPTIMIZE_HUGETLB_VMEMMAP", v6.18)',
        "flush_tlb_all() does nothing",
        "optimize-list A, scanner A.200, walk-ahead A.200",
        Without(world=worlds.no_flush_all),
        "stale translation",
        later=True,
    ),
    HistoricBug(
        "B29",
        '"mm/hugetlb_vmemmap: fix memory loads ordering" (v6.14)',
        "the test for a fake head comes before the load of the count",
        "allocate A, taker A.64",
        Without(actors="allocate A, taker-6.11 A.64"),
        "faults: permission",
        state=_LEAF,
    ),
    HistoricBug(
        "B30",
        "NR_RESET_STRUCT_PAGE raised (2025)",
        "too few struct pages of a restored page are reset",
        "restore A",
        Without(engines.changed(engines.resets_too_few)),
        "content",
    ),
    HistoricBug(
        "B31",
        'cb402bbdabca ("mm/hugetlb: fix surplus pages in dissolve_free_huge_page()", v6.14)',
        "dissolving a surplus folio leaves surplus as it was",
        "dissolve A",
        Without(pool=pools.DissolvesAsPersistent),
        "invariant 7",
        release="6.12.117",
        state={"surplus": frozenset({0})},
    ),
    HistoricBug(
        "B36",
        "series of 2026: VMEMMAP_REMAP_INCOMPLETE keeps the flag",
        "the flag is cleared although tails still share a page",
        "optimize A",
        Without(engines.ClearsFlag),
        "invariant",
        arch="arm64",
        release="mm-2026",
        failures=2,
    ),
    HistoricBug(
        "B37",
        '622026e87c40 ("mm/hugetlb: remove fake head pages", v7.1), before its last version',
        "two CPUs allocate the page that tails share, and both keep theirs",
        "optimize A, optimize B",
        Without(patches=(("hvolab_explorer.world.shared.SharedTails.setdefault", worlds.store_tails),)),
        "invariant",
        release="7.2",
    ),
    HistoricBug(
        "B38",
        'c7bde43f6daf ("mm/hugetlb_vmemmap: fix incorrect vmemmap restore in rollback", v7.1)',
        "a rollback restores the head as a tail",
        "optimize A",
        Without(engines.with_variant(copies_mapped=False)),
        "flag",
        release="6.12.117",
        failures=1,
        state={"size": 1 << 30, "memory": 3 << 30, "split": False},
        long=True,
    ),
    HistoricBug(
        "B40",
        '66361095129b ("mm: memory_hotplug: make hugetlb_optimize_vmemmap compatible with memmap_on_memory", v6.0)',
        "self-hosted vmemmap is optimized",
        "optimize A",
        Without(world=worlds.no_self_hosted),
        "",
        state={"vmemmap": VmemmapBacking.SELF_HOSTED, "memory": 256 << 20, "split": False},
    ),
    HistoricBug(
        "B41",
        "split_page() in vmemmap_split_pmd() (v6.12)",
        "the block behind a PMD is not split into pages",
        "optimize A",
        Without(world=worlds.no_split_page),
        "",
        state={"vmemmap": VmemmapBacking.BUDDY, "split": False},
    ),
)
