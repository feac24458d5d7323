# SPDX-License-Identifier: GPL-2.0-only
"""One check of every invariant that is a state, in a process of its own, on a machine whose folios are optimized.

usage: python -m benchmarks.invariants_run FOLIOS     prints figures, one line of JSON
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np

from benchmarks import huge_machine
from benchmarks.report import BenchmarkError
from hvolab.hvo import Hvo
from hvolab.invariants import Folios, check

#: Entries that map the vmemmap of a folio of 2 MiB.
_ENTRIES = 8


def main() -> None:
    """Optimize, check, run the bare loop, then break one entry and require that the check finds it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folios", type=int)
    made = huge_machine.build(parser.parse_args().folios)
    machine = made.machine
    Hvo(machine).optimize_folios(made, made.folios)
    group = [Folios(made.order, made.heads)]

    start = time.process_time()
    findings = check(machine, folios=group)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if findings:
        raise BenchmarkError(f"{len(findings)} invariants do not hold, the first: {findings[0]}")

    loop = _loop(made)
    page_size = machine.target.mode.page_size
    tail = machine.tables.find(machine.struct_pages.va(int(made.heads[-1])) + page_size)
    machine.memory.write_word(tail.slot, tail.raw + page_size)
    if not check(machine, folios=group):
        raise BenchmarkError("a tail that is mapped to another frame was not found: nothing was checked")
    print(json.dumps({"check_s": seconds, "loop_s": loop, "peak_mb": peak}))


def _loop(made: huge_machine.HugeMachine) -> float:
    """Read each folio's entries and its head's vmemmap page in a bare loop; return the CPU time in seconds."""
    machine, folios = made.machine, made.heads.size
    memory, vas = machine.memory, huge_machine.struct_pages_at(machine, made.heads)
    entries = np.fromiter((machine.tables.descend(va)[1] for va in vas.tolist()), dtype=np.int64, count=folios)
    pages = machine.struct_pages.locate(made.heads) >> memory.page_shift
    start, total = time.process_time(), 0
    for entry, page in zip(entries.tolist(), pages.tolist(), strict=True):
        total += int(memory.words[entry : entry + _ENTRIES].sum()) + int(memory.pages[page].sum())
    if not total:
        raise BenchmarkError("the bare loop read nothing")
    return time.process_time() - start


if __name__ == "__main__":
    main()
