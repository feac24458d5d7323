# SPDX-License-Identifier: GPL-2.0-only
"""The engine against kernels' own compiled code: the same calls in the same order, the same entries and bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hvolab.arch import Target
from hvolab.hvo import Hvo, HvoEngine
from hvolab.machine import CpuMaker, Machine
from hvolab.plugin import registry
from hvolab.release import RELEASES
from tests.kernel_runs import FIRST_FOLIO_OFFSET, Laboratory, calls, inlined, load, unfolded

VARIANTS = {release.name: release for release in RELEASES}
TRACES = {
    "x86_64-6.12": ("x86_64", "4-level", "6.12"),
    "riscv64-6.12-sv39": ("riscv", "Sv39", "6.12"),
    "arm64-6.12-4K-48bit": ("arm64", "4K-48bit", "6.12"),
}
#: Those that `python -m tests.golden_traces` records, of Debian's kernels: architecture, mode, release.
DEBIANS = {
    "x86_64-6.12.117": ("x86_64", "4-level", "6.12.117"),
    "riscv64-6.12.117-sv39": ("riscv", "Sv39", "6.12.117"),
    "x86_64-7.2.13": ("x86_64", "4-level", "7.2"),
    "riscv64-7.2.13-sv39": ("riscv", "Sv39", "7.2"),
    "x86_64-6.1": ("x86_64", "4-level", "6.1"),
}
CONTINUES = ("/optimize-again", "/optimize-twice", "/restore-retry")
#: Above this order folios are gigantic.
MAX_ORDER = 10
#: One of so many runs of gigantic folios in which something fails is made outside of long sweeps.
SAMPLE = 9


def target_of(name: str) -> Target:
    architecture, mode, release = (TRACES | DEBIANS)[name]
    return registry().architecture(architecture).select(mode, release=release)


def prepare(
    target: Target,
    meta: dict[str, Any],
    run: dict[str, Any],
    cpu: CpuMaker | None = None,
    engine: Callable[[Machine], HvoEngine] = Hvo,
) -> Laboratory:
    """The memory that a run starts from, when it does not go on from the run before; with what CPUs and engine."""
    name, pfns = run["scenario"], [int(pfn, 16) for pfn in run["folios"]]
    first = (int(meta["ram_base"], 16) >> target.mode.page_shift) + FIRST_FOLIO_OFFSET
    lab = Laboratory(target, meta, pfns, run["order"], boot="boot" in name, cpu=cpu, engine=engine)
    machine = lab.machine
    if name.startswith("single-presplit"):
        lab.fill(first + 512, meta)
        lab.carry_out("hugetlb_vmemmap_optimize_folio", [first + 512])
    elif name.startswith("disabled"):
        machine.optimize_enabled = False
    elif name.startswith("selfhosted"):
        frames = machine.tables.frames(machine.struct_pages.va(first), 1)
        layout = machine.struct_pages.layout
        machine.struct_pages.set_words(frames, layout.flags, 1 << layout.pg_vmemmap_self_hosted)
    if name.startswith("batch0"):
        lab.link([])
    elif "batch" in name:
        lab.link([pfn for pfn in pfns if pfn != pfns[1]] if name.endswith("-mixed") else pfns)
        if "/restore" in name:
            lab.carry_out("hugetlb_vmemmap_optimize_folios", pfns)
            lab.link(pfns)
    elif name.endswith("/restore"):
        lab.carry_out("hugetlb_vmemmap_optimize_folio", pfns)
    return lab


def check(lab: Laboratory, run: dict[str, Any]) -> list[str]:
    """Run the engine; tell where it departs from the kernel."""
    machine, pfns = lab.machine, [int(pfn, 16) for pfn in run["folios"]]
    before = (machine.key, machine.counters.nr_memmap_pages, machine.counters.nr_memmap_boot_pages)
    result, events = lab.call(run["fn"], pfns, run["fail"])
    after = (machine.key, machine.counters.nr_memmap_pages, machine.counters.nr_memmap_boot_pages)
    seen: dict[str, Any] = {
        "log": inlined(calls(events)) if "key_after" in run else calls(events),
        "nr_alloc_calls": lab.pool.calls,
        "net": [new - old for old, new in zip(before, after, strict=True)],
        "final": {hex(pfn): lab.final(pfn) for pfn in pfns},
    }
    expected: dict[str, Any] = {
        "log": unfolded(run["log"]),
        "nr_alloc_calls": run["nr_alloc_calls"],
        "net": [
            run.get("key_after", before[0] + run["key_net"]) - before[0],
            run["memmap_net"],
            run["memmap_boot_net"],
        ],
        "final": run["final"],
    }
    if "restore" in run["fn"]:
        kernel = run["ret"] & 0xFFFFFFFF
        seen["ret"], expected["ret"] = result, kernel - (1 << 32) if kernel >> 31 else kernel
    for title, head in (("list", lab.list_va), ("non_hvo", lab.other_list_va)):
        if title in run.get("lists", {}):
            seen[title], expected[title] = lab.list_of(head), run["lists"][title]
    where = f"{run['scenario']} fail={run['fail'][:3]}"
    return [f"{where}: {key}: {seen[key]} != {expected[key]}" for key in expected if seen[key] != expected[key]]


def departures_of(
    name: str,
    cpu: CpuMaker | None = None,
    every: int = 1,
    *,
    every_gigantic: int = 1,
    engine: Callable[[Machine], HvoEngine] = Hvo,
) -> list[str]:
    """Where the engine departs from a kernel in its runs, or in one of so many and those that go on from it.

    every_gigantic  as `every`, for gigantic folios: thousands of pages each; runs in which nothing fails are all made
    engine          makes what is held to the kernel (default: hvolab's own engine in the release of the kernel)
    """
    trace, target = load(name), target_of(name)
    assert trace["meta"].get("form", target.release.name) == target.release.name
    assert len(trace["scenarios"]) >= (272 if target.release.variant.refuses_optimized else 100)  # v6.1 has no batches
    departures: list[str] = []
    lab: Laboratory | None = None
    begun, number, chosen = "", -1, False
    for run in trace["scenarios"]:
        if not run["scenario"].endswith(CONTINUES):
            number += 1
            gigantic = run["order"] > MAX_ORDER and run["fail"]
            chosen = number % (every * every_gigantic if gigantic else every) == 0
            if chosen and lab is not None and run["scenario"] == begun:  # other allocations fail, from the same state
                lab.restart()
            elif chosen:
                lab, begun = prepare(target, trace["meta"], run, cpu, engine), run["scenario"]
                lab.begin()
        departures += check(lab, run) if chosen and lab is not None else []
    return departures


def report(departures: list[str]) -> str:
    return "\n".join(line[:2000] for line in departures[:5]) + f"\n… {len(departures)} in all"


@pytest.mark.slow
@pytest.mark.parametrize("name", DEBIANS)
def test_the_engine_does_some_of_what_debians_kernels_did(name: str) -> None:
    departures = departures_of(name, every=40)
    assert not departures, report(departures)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRACES, *DEBIANS])
def test_the_engine_does_more_of_what_the_compiled_kernel_did(name: str) -> None:
    departures = departures_of(name, every=2, every_gigantic=SAMPLE)
    assert not departures, report(departures)


@pytest.mark.long
@pytest.mark.parametrize("name", [*TRACES, *DEBIANS])
def test_the_engine_does_what_the_compiled_kernel_did(name: str) -> None:
    departures = departures_of(name)
    assert not departures, report(departures)
