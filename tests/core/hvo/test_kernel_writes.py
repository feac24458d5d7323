# SPDX-License-Identifier: GPL-2.0-only
"""The engine against kernels' own compiled code: every page-table write, in its place among the outside calls."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.machine import CpuMaker
from hvolab.trace import EntriesStored
from tests.core.hvo.test_kernel_traces import TRACES, target_of
from tests.kernel_runs import FIRST_FOLIO_OFFSET, Laboratory, Log, inlined, load, log_of

#: Functions, orders and number of folios of the runs, by their names.
_RUNS = {
    "optimize": ("optimize_folio", 9, 1),
    "restore": ("restore_folio", 9, 1),
    "optimize_folios": ("optimize_folios", 9, 2),
    "restore_folios": ("restore_folios", 9, 2),
    "optimize-o18": ("optimize_folio", 18, 1),
}
_WORD = 8


def single_writes(log: Log) -> Log:
    """A file's log with its runs of writes written out: [pt, level, table frame, index, value]."""
    out: Log = []
    for entry in log:
        if entry[0] == "ptrun":
            _, level, table, index, count, first, step = entry
            value, stride = int(first, 16), int(step, 16)
            out += [["pt", level, table, index + at, hex(value + stride * at)] for at in range(count)]
        else:
            out.append(entry)
    return out


def writes_of(lab: Laboratory, log: Log) -> Log:
    """The engine's calls and writes, worded as in a file."""
    mode = lab.target.mode
    depth_of = {level.name: depth for depth, level in enumerate(reversed(mode.levels))}
    out: Log = []
    for entry in log:
        if entry[0] != "entries":
            out.append(entry)
            continue
        event: EntriesStored = entry[1]
        table, first = event.pa >> mode.page_shift, event.pa % mode.page_size // _WORD
        values = enumerate(event.after.tolist(), first)
        out += [["pt", depth_of[event.level], table, index, hex(raw)] for index, raw in values]
    return out


def renamed(log: Log, pool: int) -> Log:
    """A log whose tables that were there before the pool's first frame are numbered in order of appearance."""
    numbers: dict[int, str] = {}
    out: Log = []
    for entry in log:
        if entry[0] == "pt" and entry[2] < pool:
            out.append([*entry[:2], numbers.setdefault(entry[2], f"table {len(numbers)}"), *entry[3:]])
        else:
            out.append(entry)
    return out


def begin(name: str, run: dict[str, Any], meta: dict[str, Any], cpu: CpuMaker | None) -> tuple[Laboratory, list[int]]:
    """Fresh memory with the folios of a run, linked where it is a batch."""
    target, (_, order, count) = target_of(name), _RUNS[run["scenario"]]
    first = (int(meta["ram_base"], 16) >> target.mode.page_shift) + FIRST_FOLIO_OFFSET
    folios = [first + position * 512 for position in range(count)]
    lab = Laboratory(target, meta, folios, order, boot=False, cpu=cpu)
    lab.link(folios)
    if run["scenario"] == "restore_folios":
        lab.carry_out("optimize_folios", folios)
        lab.link(folios)
    return lab, folios


def departures_of(name: str, cpu: CpuMaker | None = None) -> list[str]:
    """Where the engine, on CPUs that ``cpu`` makes, departs from what a kernel wrote."""
    trace, runs = load(name), load(f"{name}-writes")
    meta, flushes_inline = trace["meta"], "key_after" in trace["scenarios"][0]
    pool = int(meta["pool_first"], 16)
    assert {run["scenario"] for run in runs} == set(_RUNS)
    departures = []
    lab, folios = begin(name, runs[0], meta, cpu)
    for run in runs:
        if run["scenario"] != "restore":  # which goes on from the optimize before it
            lab, folios = begin(name, run, meta, cpu)
        _, events = lab.call(_RUNS[run["scenario"]][0], folios, run["fail"])
        kernel = renamed(single_writes(run["log"]), pool)
        log = inlined(log_of(events)) if flushes_inline else log_of(events)
        engine = renamed(writes_of(lab, log), pool)
        if engine != kernel:
            at = next((at for at, pair in enumerate(zip(engine, kernel, strict=False)) if pair[0] != pair[1]), -1)
            departures.append(f"{run['scenario']} fail={run['fail']}: {engine[at]} != {kernel[at]} at {at}")
    return departures


@pytest.mark.parametrize("name", TRACES)
def test_the_engine_writes_what_the_compiled_kernel_wrote_and_when(name: str) -> None:
    departures = departures_of(name)
    assert not departures, "\n".join(departures)
