"""One check of every invariant that is a state, in a process of its own, over a machine whose folios are optimized.

usage: python -m benchmarks.invariants_run FOLIOS     prints figures, one line of JSON
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from benchmarks import huge_machine
from benchmarks.report import BenchmarkError
from hvolab.hvo import Hvo
from hvolab.invariants import Folios, check


def main() -> None:
    """Optimize, check, then break one entry and see that it is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folios", type=int)
    made = huge_machine.build(parser.parse_args().folios)
    machine = made.machine
    Hvo(machine).optimize_folios(made, made.folios)
    group = [Folios(made.order, made.heads)]

    start = time.perf_counter()
    findings = check(machine, folios=group)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if findings:
        raise BenchmarkError(f"{len(findings)} invariants do not hold, the first: {findings[0]}")

    page_size = machine.target.mode.page_size
    tail = machine.tables.find(machine.struct_pages.va(int(made.heads[-1])) + page_size)
    machine.memory.write_word(tail.slot, tail.raw + page_size)
    if not check(machine, folios=group):
        raise BenchmarkError("a tail that is mapped to another frame was not found: nothing was checked")
    print(json.dumps({"check_s": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
