# SPDX-License-Identifier: GPL-2.0-only
"""Recorder of traces of Debian's kernels, against which the engine is tested: `python -m tests.golden_traces [NAME]`.

Each kernel's compiled code runs in the laboratory of the other traces, in every scenario of theirs: with no failing
allocation, each, each pair, and all from each on. A trace holds facts: outside calls with their arguments, results,
entries in runs, checksums of bytes. The key is tests/kernel_traces/README.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import lzma
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from hvolab.hvo import HvoEngine
from hvolab.machine import Machine
from hvolab.release import DEFAULT, KernelRelease
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel
from tests.core.hvo.test_kernel_traces import CONTINUES, prepare, target_of
from tests.kernel_images import command_for, images_directory
from tests.kernel_runs import TRACES, Laboratory, Log, calls, load, unfolded

#: Name of a trace, with its image, and the trace whose laboratory it is recorded in.
RECORDED: Final = {
    "x86_64-6.12.117": ("x86_64-6.12", "x86_64-6.12"),
    "riscv64-6.12.117-sv39": ("riscv64-6.12", "riscv64-6.12-sv39"),
    "x86_64-7.2.13": ("x86_64-7.x", "x86_64-6.12"),
    "riscv64-7.2.13-sv39": ("riscv64-7.x", "riscv64-6.12-sv39"),
    "x86_64-6.1": ("x86_64-6.1", "x86_64-6.12"),
}
#: Entries of a laboratory's meta that do not follow from the image.
_LAYOUT_KEYS: Final = (
    *("mode", "ram_base", "vmemmap", "direct_map", "alloc", "pool_first", "vmemmap_backing_first", "folio_fill"),
    *("leaf_prot_initial", "final_runs"),
)
#: Bits in a trace, by their names in a layout.
_OFFSETS: Final = {
    "PG_head": "pg_head",
    "PG_reserved": "pg_reserved",
    "PG_vmemmap_self_hosted": "pg_vmemmap_self_hosted",
    "HPG_vmemmap_optimized": "hpg_vmemmap_optimized",
}
#: Fields of a layout that no trace has: those of hugetlb, which HVO does not read, and of boot pages that are not
#: registered.
_OF_FOLIOS: Final = frozenset(
    {
        *("gigantic_tail_mapping", "folio_order", "compound_stores", "hugetlb_zeroed", "hugetlb_hwpoison"),
        *("hugetlb_mark", "hugetlb_set", "hugetlb_cleared", "gigantic_cleared"),
    }
)
_OF_BOOT_PAGES: Final = frozenset({"index", "bootmem_types"})
#: Above _MANY allocations only a few fail; up to _FEW, pairs fail too.
_MANY, _FEW = 64, 10
_FUNCTION: Final = "hugetlb_vmemmap_"


@dataclass(frozen=True)
class RecordedScenario:
    """Runs on the same folios.

    name    name of the runs, without the step
    order   order of the folios
    steps   calls, in turn
    folios  number of folios
    apart   distance of the folios in frames
    """

    name: str
    order: int
    steps: tuple[str, ...]
    folios: int = 1
    apart: int = 0


_OPTIMIZE: Final = ("optimize",)
_BOTH: Final = ("optimize", "restore", "restore-retry", "restore", "optimize-again", "optimize-twice")
_LISTS: Final = ("optimize_folios", "restore_folios")
_MIXED: Final = (*_LISTS, "restore_folios-mixed")
SCENARIOS: Final = (
    *(RecordedScenario(f"single-o{order}", order, _BOTH) for order in (7, 8, 9)),
    RecordedScenario("single-o6-not-optimizable", 6, _OPTIMIZE),
    *(RecordedScenario(name, 9, _OPTIMIZE) for name in ("single-presplit", "disabled", "selfhosted")),
    RecordedScenario("boot-o9", 9, _BOTH),
    RecordedScenario("batch3-1pmd", 9, _MIXED, 3, 1 << 9),
    RecordedScenario("batch3-3pmd", 9, _MIXED, 3, 1 << 15),
    RecordedScenario("batch2-boot", 9, _LISTS, 2, 1 << 15),
    RecordedScenario("batch0", 9, _LISTS),
    RecordedScenario("single-o18", 18, _BOTH),
    RecordedScenario("batch1-o18", 18, _LISTS),
)


def scenarios_of(release: KernelRelease) -> tuple[RecordedScenario, ...]:
    """Return the scenarios of a kernel: v6.1 takes no lists, and runs into a BUG() if a folio is optimized twice."""
    if release.variant.refuses_optimized:
        return SCENARIOS
    single = (one for one in SCENARIOS if not set(one.steps) & set(_MIXED))
    return tuple(replace(one, steps=tuple(step for step in one.steps if step != "optimize-twice")) for one in single)


def record(kernel: Kernel, name: str) -> dict[str, Any]:
    """Record the trace of a kernel, in the laboratory of the trace that ``name`` is recorded in."""
    recorder = Recorder(kernel, name)
    scenarios = scenarios_of(release_of(kernel))
    return {"meta": recorder.meta, "scenarios": [run for scenario in scenarios for run in recorder.runs(scenario)]}


def text_of(trace: dict[str, Any]) -> str:
    """Return the text of a trace before compression: one run to a line."""
    runs = ",\n".join(json.dumps(run, separators=(",", ":")) for run in trace["scenarios"])
    return f'{{"meta":{json.dumps(trace["meta"])},\n"scenarios":[\n{runs}\n]}}\n'


class Recorder:
    """Recorder of one kernel's runs; `meta` is that of the trace."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self._kernel = kernel
        self._target = target_of(name)
        meta = load(RECORDED[name][1])["meta"]
        self.meta: dict[str, Any] = {"kernel": kernel.image.release, "form": release_of(kernel).name}
        layout, bootmem = struct_page_layout(kernel), self._target.traits.bootmem_info
        self.meta |= {key: meta[key] for key in _LAYOUT_KEYS} | {
            "off": {name: getattr(layout, field) for name, field in _OFFSETS.items()}
        }
        unread = _OF_FOLIOS | (frozenset() if bootmem else _OF_BOOT_PAGES)
        changed = {one.name: getattr(layout, one.name) for one in fields(layout) if one.name not in unread}
        changed = {name: value for name, value in changed.items() if value != getattr(DEFAULT.struct_page, name)}
        if changed:
            self.meta["layout"] = changed

    def _engine(self, machine: Machine) -> HvoEngine:
        engine = KernelHvo(machine, self._kernel)
        engine.kernel_cpu.watch_page_tables = False  # traces have the entries at the end only
        return engine

    def runs(self, scenario: RecordedScenario) -> Iterator[dict[str, Any]]:
        """Yield every run of a scenario."""
        for number, step in enumerate(scenario.steps):
            yield from self._with_failures(scenario, step, last=step not in scenario.steps[number + 1 :])

    def _with_failures(self, scenario: RecordedScenario, step: str, *, last: bool) -> Iterator[dict[str, Any]]:
        """Yield a step without failures, then with failures; a repeated step has them only the first time."""
        run = self._run(scenario, step)
        if step in {one.strip("/") for one in CONTINUES} or (last and scenario.steps.count(step) > 1):
            yield self._carried_out(run)
            return
        yield (first := self._carried_out(run))
        for failing in failures(first["nr_alloc_calls"]):
            yield self._carried_out({**run, "fail": failing})

    def _run(self, scenario: RecordedScenario, step: str) -> dict[str, Any]:
        first = (int(self.meta["ram_base"], 16) >> self._target.mode.page_shift) + 0x40000
        single = "_folios" not in step
        function = step.partition("-")[0] + ("_folio" if single else "")
        return {
            "scenario": scenario.name if scenario.order == 6 else f"{scenario.name}/{step}",
            "fn": _FUNCTION + function,
            "order": scenario.order,
            "folios": [hex(first + position * scenario.apart) for position in range(scenario.folios)],
            "fail": [],
        }

    def _carried_out(self, run: dict[str, Any]) -> dict[str, Any]:
        """Carry out a run; return it with its observations."""
        if not run["scenario"].endswith(CONTINUES):
            self._lab = prepare(self._target, self.meta, run, engine=self._engine)
        return {**run, **observed(self._lab, run)}


def observed(lab: Laboratory, run: dict[str, Any]) -> dict[str, Any]:
    """Carry out a run and return its observations in the form of a trace."""
    machine, pfns = lab.machine, [int(pfn, 16) for pfn in run["folios"]]
    counters = machine.counters
    before = (machine.key, counters.nr_memmap_pages, counters.nr_memmap_boot_pages)
    result, events = lab.call(run["fn"], pfns, run["fail"])
    log = calls(events)
    short = folded(log)
    assert unfolded(short) == log
    seen: dict[str, Any] = {
        "ret": result & 0xFFFFFFFF,
        "nr_alloc_calls": lab.pool.calls,
        "log": short,
        "final": {hex(pfn): lab.final(pfn) for pfn in pfns},
        "key_net": machine.key - before[0],
        "memmap_net": counters.nr_memmap_pages - before[1],
        "memmap_boot_net": counters.nr_memmap_boot_pages - before[2],
    }
    if run["fn"].endswith("_folios"):
        seen["lists"] = {"list": lab.list_of(lab.list_va)}
        if "restore" in run["fn"]:
            seen["lists"]["non_hvo"] = lab.list_of(lab.other_list_va)
    return seen


def failures(allocations: int) -> Iterator[list[int]]:
    """Yield the failing allocations: each one, of many a few; of few each pair, and all from each on."""
    each: Sequence[int] = range(1, allocations + 1)
    if allocations > _MANY:
        each = (1, 2, allocations // 2, allocations)
    yield from ([one] for one in each)
    if allocations <= _FEW:
        yield from (list(pair) for pair in itertools.combinations(range(1, allocations + 2), 2))
        yield from (list(range(one, 61)) for one in range(1, allocations + 1))


def folded(log: Log) -> Log:
    """Fold the repeats in a log, the reverse of `unfolded`: up to three calls whose frame moves by one stride."""
    short: Log = []
    at = 0
    while at < len(log):
        size, count, stride = max((_repeats(log, at, size) for size in (1, 2, 3)), key=lambda one: one[0] * one[1])
        if count > 2:
            short.append(["run", count, stride, log[at : at + size]])
            at += size * count
        else:
            short.append(log[at])
            at += 1
    return short


def _repeats(log: Log, at: int, size: int) -> tuple[int, int, int]:
    """Return size, count of repeats and stride of the frame for the next ``size`` calls."""
    group, count, stride = log[at : at + size], 1, 0
    if any(one[-1] == "FAIL" for one in group):  # which has no frame
        return size, 1, 0
    while len(following := log[at + count * size : at + (count + 1) * size]) == size:
        if count == 1:
            moved = [_frame(two) - _frame(one) for one, two in zip(group, following, strict=True) if _frame(one) >= 0]
            stride = moved[0] if moved else 0
        if following != [_moved(one, stride * count) for one in group]:
            break
        count += 1
    return size, count, stride


def _frame_index(call: list[Any]) -> int:
    """Return the index of the frame in a call, 0 for none."""
    if call[0] == "alloc":
        return len(call) - 1
    return 1 if call[0] in {"free", "free_reserved", "put_page_bootmem"} else 0


def _frame(call: list[Any]) -> int:
    place = _frame_index(call)
    return call[place] if place and isinstance(call[place], int) else -1


def _moved(call: list[Any], by: int) -> list[Any]:
    place = _frame_index(call)
    return [*call[:place], call[place] + by, *call[place + 1 :]] if place else call


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden_traces", description=__doc__)
    parser.add_argument(
        "name", nargs="*", choices=[[], *RECORDED], help=f"one of {', '.join(RECORDED)}; by default all"
    )
    for name in parser.parse_args(arguments).name or RECORDED:
        image = images_directory() / f"{RECORDED[name][0]}.image"
        if not image.exists():
            print(f"error: no image; hint: {command_for(RECORDED[name][0])}", file=sys.stderr)
            return 1
        trace = record(open_kernel(image), name)
        path = TRACES / f"{name}.json.xz"
        path.write_bytes(lzma.compress(text_of(trace).encode(), preset=9))
        print(f"{path.name}: {len(trace['scenarios'])} runs of {trace['meta']['kernel']}, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
