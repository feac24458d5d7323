# SPDX-License-Identifier: GPL-2.0-only
"""Fixed scenarios that each mutant runs: what rules find in them, and a digest of what the machine ends as."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Finding, Monitor, check, survey
from hvolab.machine import FrameAllocator, Machine, MachineSpec, VmemmapBacking, build_machine, use_cpus
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab.machine.frames.source import Owner
from hvolab.plugin import registry
from hvolab.release.faults import RESTORED_AS_HEADS
from hvolab.scenario import OPERATIONS, PoolSet, Request, parse_operations
from hvolab.scenario.views import Observer
from hvolab.trace import (
    EntriesStored,
    Event,
    PagesAllocated,
    PagesFreed,
    Warned,
)
from hvolab.units import parse_hugepages
from tests.mutation.engine_scenarios import ENGINE_SCENARIOS
from tests.mutation.outcome import LOGGED, MIB, Outcome, state
from tests.primitive_cpu import primitive_cpu

#: Word in frames that are free.
_PATTERN = 0xA5A5A5A5A5A5A5A5
#: Pages of vmemmap of each folio that another CPU reads before an operation.
_READ = 8


@dataclass(frozen=True)
class Scenario:
    """One machine, and operations on its pools.

    name                          architecture, release, and what it is for
    do                            operations, as `hvolab run --do` takes them
    hugepages                     pages that `optimize` grows the pools to
    memory, nodes, cpus, vmemmap  of the machine; memory in MiB
    mode, profile, features       of the architecture
    enabled                       whether HVO is on
    fails, entries, tables        allocations and updates that fail, from 1 on; a negative number: all from there on
    heals                         operations before which nothing fails any more
    listens                       whether a monitor and CPUs besides the first listen
    bulk                          whether CPUs have bulk operations
    struct_page                   bytes of a struct page, 0: as the release has it
    boots                         pages of each size that are allocated at boot, before all, some by node
    """

    name: str
    do: str = "optimize, resize 2M 1, resize 2M 3, shrink"
    hugepages: str = "2M=3"
    memory: int = 128
    nodes: int = 1
    cpus: int = 2
    vmemmap: VmemmapBacking = VmemmapBacking.BOOT
    mode: str | None = None
    profile: str | None = None
    features: tuple[str, ...] = ()
    enabled: bool = True
    fails: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()
    tables: tuple[int, ...] = ()
    heals: int = 99
    listens: bool = True
    bulk: bool = True
    struct_page: int = 0
    boots: str = ""


def _policy(numbers: tuple[int, ...]) -> FailurePolicy:
    if numbers and numbers[0] < 0:
        return FailFrom(-numbers[0])
    return FailCalls(frozenset(numbers)) if numbers else NeverFail()


def play(scenario: Scenario) -> Outcome:
    """Run a scenario. What an engine or pool raises is raised."""
    architecture, release, _ = scenario.name.split(" ", 2)
    target = (
        registry()
        .architecture(architecture)
        .select(scenario.mode, profile=scenario.profile, release=release, features=scenario.features)
    )
    size = scenario.struct_page
    layout = replace(target.struct_page, size=size) if size else None
    spec = MachineSpec(
        scenario.memory * MIB, nodes=scenario.nodes, cpus=scenario.cpus, vmemmap=scenario.vmemmap, layout=layout,
        optimize_enabled=scenario.enabled,
    )  # fmt: skip
    machine = build_machine(target, spec)
    if not scenario.bulk:
        use_cpus(machine, primitive_cpu)
    outcome, hvo = Outcome(), Hvo(machine)
    engine = Observer(hvo) if scenario.listens else hvo
    pools = tuple(Pool(machine, h, engine) for h in hstates(machine))
    pool_set = PoolSet(pools, parse_hugepages(scenario.hugepages))
    monitor = Monitor(machine)
    machine.entry_updates, machine.table_updates = _policy(scenario.entries), _policy(scenario.tables)
    assert isinstance(machine.frames, FrameAllocator)
    machine.frames.failure = _policy(scenario.fails)
    findings: list[Finding] = []

    def log(event: Event) -> None:
        if isinstance(event, PagesAllocated):
            outcome.add(event.gfp, event.order, event.node, event.pfns.tolist(), event.failed)
        elif isinstance(event, PagesFreed):
            outcome.add(event.pfns.tolist(), event.order, event.how)
        elif isinstance(event, EntriesStored):
            outcome.add(event.level, event.pa, event.va, event.before.tolist(), event.after.tolist(), event.live)
        elif isinstance(event, Warned):
            outcome.findings.append(f"warning: {event.text}")
        elif isinstance(event, LOGGED):
            outcome.add(event)

    backing = survey(machine).backing
    booted = parse_hugepages(scenario.boots) if scenario.boots else {}
    requests = [Request(OPERATIONS["boot"], size, count) for size, count in booted.items()]
    for number, request in enumerate([*requests, *parse_operations(scenario.do, target)]):
        if number == scenario.heals:
            machine.frames.failure = NeverFail()
            machine.entry_updates = machine.table_updates = NeverFail()
        _read(pools)
        _overwrite(machine, backing)
        if scenario.listens:
            with monitor.watch(), machine.trace.listen(log):
                outcome.add(str(request.run(pool_set)))
        else:
            before = machine.grace_periods, machine.key
            outcome.add(str(request.run(pool_set)))
            waits = target.release.variant.waits_for_rcu and machine.key != before[1]
            if waits and machine.grace_periods == before[0]:
                outcome.findings.append("grace_periods: folios were changed, and no grace period has passed")
        findings += check(machine, pools)
        outcome.add(state(pools))
    for finding in [*monitor.findings, *findings]:
        if finding.fault:
            outcome.faults.add(finding.fault)
        elif not finding.declared:
            outcome.findings.append(f"{finding.rule}: {finding.what}")
    if machine.lost_frames and not scenario.listens and RESTORED_AS_HEADS not in target.release.faults:
        outcome.findings.append(f"freeing: the kernel keeps {machine.lost_frames} frames")
    shows = RESTORED_AS_HEADS not in target.release.faults or RESTORED_AS_HEADS in outcome.faults
    if not (shows or scenario.fails):
        outcome.findings.append("declared fault: the release's known fault does not show")
    return outcome


def _read(pools: tuple[Pool, ...]) -> None:
    """Read the first pages of vmemmap of each folio on the last CPU, whose TLB has them then."""
    machine = pools[0].machine
    page_size = machine.target.mode.page_size
    for pool in pools:
        size = machine.struct_pages.layout.size << pool.h.order
        for folio in sorted(pool.live):
            for va in range(folio, folio + min(size, _READ * page_size), page_size):
                machine.cpus[-1].load_word(va)


def _overwrite(machine: Machine, pfns: npt.NDArray[np.int64]) -> None:
    """Overwrite those frames that are free, as their next owners do: what lies there otherwise is right by chance."""
    assert isinstance(machine.frames, FrameAllocator)
    free = pfns[machine.frames.owner(pfns) == Owner.FREE]
    machine.memory.pages[free - machine.memory.first_pfn] = _PATTERN


_ALL = (
    "optimize, surplus 2M 2, use 2M, free 2M 3, overcommit 2M 0, surplus 2M, dissolve 2M, resize 2M 2, use 2M, shrink"
)
_GROWN = "optimize, shrink, shrink"
_ARM = "boot 32M, optimize, demote 32M, demote 2M 2, dissolve 32M, dissolve 2M, shrink"
_SHORT = "boot 32M, demote 32M, dissolve 2M, resize 2M 9, shrink"
_RESERVED = (
    "optimize, overcommit 2M 3, reserve 2M 2, fault 2M, use 2M, use 2M 2, resize 2M 1, reserve 2M 2, unreserve 2M, "
    "fault 2M 2, reserve 2M 9, free 2M, overcommit 2M 9, reserve 2M 2, unreserve 2M 2, free 2M 9, shrink"
)
_MOVED = "optimize, temporary 2M 2, dissolve 2M, free 2M 9, temporary 2M, free 2M, shrink"
_POISONED = (
    "optimize, reserve 2M 2, fault 2M 2, use 2M, poison 2M 3, poison 2M 3, dissolve 2M 4, poison_unrecorded 2M 2, "
    "use 2M 9, free 2M 1, shrink, free 2M 9, resize 2M 3, poison 2M 2, poison_unrecorded 2M 2, shrink"
)
_DEMOTED = "optimize, use 32M, demote 32M 2, free 32M, poison 2M, demote 2M 3, reserve 64K 9, demote 2M 99, shrink"
_BUDDY, _HOSTED = VmemmapBacking.BUDDY, VmemmapBacking.SELF_HOSTED

PLAYED: tuple[Scenario, ...] = (
    Scenario("x86_64 6.12 base"),
    Scenario("x86_64 6.12 no listener", listens=False),
    Scenario("x86_64 6.12 all operations", _ALL, "2M=0:3,1:1", 256, nodes=2),
    Scenario("x86_64 6.12 all operations, no listener", _ALL, "2M=5", 256, nodes=2, listens=False),
    Scenario("x86_64 6.12 vmemmap of the buddy", vmemmap=_BUDDY),
    Scenario("x86_64 6.12 vmemmap of the buddy, no listener", vmemmap=_BUDDY, listens=False),
    Scenario("x86_64 6.12 self-hosted", vmemmap=_HOSTED, memory=256, nodes=2),
    Scenario("x86_64 6.12 self-hosted, no listener", vmemmap=_HOSTED, memory=256, nodes=2, listens=False),
    Scenario("x86_64 6.12 single steps", bulk=False),
    Scenario("x86_64 6.12 single steps, no listener", bulk=False, listens=False),
    Scenario("x86_64 6.12 off", enabled=False),
    Scenario("x86_64 6.12 switched off, no listener", enabled=False, listens=False),
    Scenario("x86_64 6.12 5-level", mode="5-level"),
    Scenario("x86_64 6.12 5-level, no listener", _GROWN, "2M=70", 256, mode="5-level", listens=False),
    Scenario("x86_64 6.12 a second table fails, no listener", _GROWN, "2M=70", 256, fails=(72,), listens=False),
    Scenario("riscv 6.12 no listener, Sv39", mode="Sv39", cpus=1, listens=False),
    *(Scenario(f"x86_64 6.12 allocation {n} fails", _GROWN, fails=(n,)) for n in (2, 3, 4, 6, 9)),
    *(Scenario(f"x86_64 6.12 all from {n} on fail", _GROWN, fails=(-n,), heals=2) for n in (1, 4, 7, 14)),
    Scenario("x86_64 6.12 tries again", _GROWN, "2M=2", 256, nodes=2, fails=(4, 7)),
    Scenario("x86_64 6.12 two fail", _GROWN, fails=(5, 7)),
    Scenario("x86_64 6.12 shrinking fails, no listener", _GROWN, "2M=8", fails=(-20,), heals=2, listens=False),
    Scenario("x86_64 6.12 shrinking fails late, no listener", _GROWN, "2M=8", fails=(-40,), heals=2, listens=False),
    Scenario("x86_64 6.12 growing fails, no listener", _GROWN, "2M=8", fails=(-13,), heals=1, listens=False),
    Scenario("x86_64 6.12 growing fails once, no listener", _GROWN, "2M=8", fails=(11,), listens=False),
    Scenario("x86_64 6.12 full", "resize 2M 99, shrink, use 2M, surplus 2M 9, dissolve 2M, shrink, free 2M 9, shrink",
             memory=64),
    Scenario("x86_64 6.12 dissolving fails", "optimize, dissolve 2M, dissolve 2M, shrink", fails=(-9,), heals=2),
    Scenario("x86_64 6.12 80-byte struct pages", struct_page=80),
    Scenario("x86_64 6.1 base", memory=256, nodes=2),
    Scenario("x86_64 6.1 all operations", _ALL, "2M=0:3,1:1", 256, nodes=2),
    Scenario("x86_64 6.1 vmemmap of the buddy", vmemmap=_BUDDY),
    Scenario("x86_64 6.1 self-hosted", vmemmap=_HOSTED, memory=256, nodes=2),
    *(Scenario(f"x86_64 6.1 allocation {n} fails", _GROWN, fails=(n,)) for n in (2, 3, 6)),
    *(Scenario(f"x86_64 6.1 all from {n} on fail", _GROWN, fails=(-n,), heals=2) for n in (2, 6)),
    Scenario("x86_64 7.2 base", memory=256, nodes=2),
    Scenario("x86_64 7.2 all operations", _ALL, "2M=0:3,1:1", 256, nodes=2),
    Scenario("x86_64 7.2 no listener", listens=False),
    *(Scenario(f"x86_64 7.2 allocation {n} fails", _GROWN, fails=(n,)) for n in (2, 3, 4, 6)),
    *(Scenario(f"x86_64 7.2 all from {n} on fail", _GROWN, fails=(-n,), heals=2) for n in (4, 12)),
    Scenario("x86_64 6.12.117 base"),
    Scenario("x86_64 6.12 reservations", _RESERVED, "2M=4", 256, nodes=2),
    *(Scenario(f"x86_64 {release} reservations", _RESERVED, "2M=0:2,1:2", 256, nodes=2)
      for release in ("6.1", "7.2")),
    *(Scenario(f"x86_64 6.12 reservations, all from {n} on fail", _RESERVED, "2M=4", fails=(-n,), heals=9)
      for n in (10, 20)),
    Scenario("x86_64 6.12 temporary", _MOVED, "2M=0:2,1:1", 256, nodes=2),
    Scenario("x86_64 7.2 temporary", _MOVED),
    Scenario("x86_64 6.12 temporary, failing", _MOVED, fails=(-9,), heals=2),
    *(Scenario(f"x86_64 {release} poison", _POISONED, "2M=6", 256)
      for release in ("6.12", "6.1", "7.2")),
    Scenario("x86_64 6.12 poison, HVO off", _POISONED, "2M=6", enabled=False),
    Scenario("x86_64 6.12 poison, failing", _POISONED, "2M=6", 256, fails=(-25,), heals=8),
    Scenario("x86_64 6.12 boot by node", "optimize, shrink", boots="2M=0:2,1:99", memory=256, nodes=2),
    Scenario("arm64 6.12 boot by node", "optimize, shrink", boots="32M=0:1,1:1,2M=0:2,1:1", memory=256, nodes=2),
    Scenario("arm64 7.2 boot by node", "shrink", boots="32M=0:9,1:1", memory=256, nodes=2),
    *(Scenario(f"arm64 {release} demotes several sizes", _DEMOTED, "32M=3,2M=1,64K=2", 320, nodes=2)
      for release in ("6.12", "6.1", "7.2")),
    Scenario("x86_64 6.12.117 shrinking fails", _GROWN, fails=(12,)),
    Scenario("arm64 6.12 gigantic", _ARM, "32M=1,2M=3,64K=9", 320, nodes=2),
    Scenario("arm64 6.12 gigantic, no listener", _ARM, "32M=1,2M=3", 256, listens=False),
    Scenario("arm64 6.12 gigantic, failing", _SHORT, memory=192, fails=(3,)),
    Scenario("arm64 6.12 gigantic, demotion fails", "boot 32M 2, optimize, demote 32M 2, shrink", "32M=2", 256,
             fails=(-9,), heals=3),
    Scenario("arm64 6.12 boot fails", "boot 32M 9, demote 32M, shrink", "32M=2", 96, fails=(1,)),
    Scenario("arm64 6.12 gigantic, surplus", "optimize, overcommit 32M 1, surplus 32M, use 32M, shrink", "32M=2", 256),
    *(Scenario(f"arm64 {release} a later table fails", "optimize, optimize, shrink", "1G=1,64K=2", 1536, cpus=1,
               fails=fails)
      for release, fails in (("6.12", (3, 5)), ("7.2", (3, 6)))),
    Scenario("arm64 6.1 gigantic", _SHORT, memory=192),
    Scenario("arm64 6.1 demotion fails", "boot 32M 2, demote 32M 2, shrink", "32M=2", 256, fails=(-5,), heals=2),
    Scenario("arm64 7.2 gigantic", _SHORT, memory=192),
    Scenario("arm64 7.2 boot fails", "boot 32M, optimize, shrink", "32M=2", 256, fails=(1,)),
    Scenario("arm64 mm-2026 base", features=("hafdbs",)),
    Scenario("arm64 mm-2026 gigantic", "boot 32M, shrink", memory=192, features=("hafdbs",)),
    Scenario("arm64 mm-2026 no listener", features=("hafdbs",), listens=False),
    *(Scenario(f"arm64 mm-2026 entry {n} is lost", _GROWN, features=("hafdbs",), entries=(n,)) for n in (1, 4, 11, 30)),
    *(Scenario(f"arm64 mm-2026 entries from {n} on are lost", _GROWN, features=("hafdbs",), entries=(-n,), heals=2)
      for n in (1, 30)),
    *(Scenario(f"arm64 mm-2026 entries from {n} on are lost, growing", _GROWN, features=("hafdbs",), entries=(-n,),
               heals=1) for n in (4, 11)),
    *(Scenario(f"arm64 mm-2026 entries from {n} on are lost, no listener", _GROWN, features=("hafdbs",),
               entries=(-n,), heals=heals, listens=False) for n, heals in ((4, 1), (30, 2))),
    Scenario("arm64 mm-2026 tables are lost", _GROWN, features=("hafdbs",), tables=(1,)),
    Scenario("arm64 mm-2026 all tables are lost", _GROWN, features=("hafdbs",), tables=(-1,), heals=1),
    *(Scenario(f"arm64 mm-2026 single steps, entry {n} is lost", _GROWN, features=("hafdbs",), entries=(n,), bulk=False)
      for n in (4, 30)),
    Scenario("riscv 6.12 base", cpus=1),
    Scenario("riscv 7.2 strict", profile="strict"),
    Scenario("riscv 6.12 napot", "optimize, demote 2M, shrink", "2M=2,64K=2", features=("svnapot",)),
    Scenario("arm64 6.12 16K pages", "optimize, resize 32M 1, shrink", "32M=3,2M=2", 512, mode="16K-47bit"),
)  # fmt: skip

#: Every scenario by name, in the order in which mutants run them.
SCENARIOS: dict[str, Callable[[], Outcome]] = {
    **{scenario.name: (lambda scenario=scenario: play(scenario)) for scenario in PLAYED},  # type: ignore[misc]
    **ENGINE_SCENARIOS,
}

#: Scenarios in which pools do much around the engine: mutants of the engine run the others.
POOLS_ALONE = frozenset(
    name
    for name in SCENARIOS
    if re.search(r"gigantic|reserv|temporary|poison|by node|several sizes", name)
    or re.search(r"full|boot fails|demotion|dissolving|off$|napot|16K", name)
    or ("all operations" in name and name != "x86_64 6.12 all operations, no listener")
)
