# SPDX-License-Identifier: GPL-2.0-only
"""Differences between two machines, found and decoded."""

from __future__ import annotations

import pytest

from hvolab_kernel.comparison.differences import (
    StateDifference,
    differing_counters,
    differing_memory,
    differing_results,
)
from hvolab_kernel.comparison.machine_pair import StepResult, StepResults
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.comparison.test_machine_pair import OPTIMIZE, pair_of, scenario
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


def test_the_first_call_that_differs_is_shown_with_the_result_and_findings() -> None:
    engine, kernel = StepResult(0, [("rcu",), ("key", 1), ("rcu",)]), StepResult(-12, [("rcu",), ("key", -1)])
    assert list(differing_results(StepResults(str(OPTIMIZE), engine, kernel, ("WARN at f+0x1",)))) == [
        StateDifference("result of optimize(0)", "-12", "0"),
        StateDifference("outside call 2 of optimize(0)", "static key -1", "static key +1"),
        StateDifference("finding in optimize(0)", "WARN at f+0x1", ""),
    ]
    assert not list(differing_results(StepResults(str(OPTIMIZE), engine, engine, ())))


@FETCHED
def test_words_and_counters_that_differ_are_decoded(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    optimize = scenario(OPTIMIZE)
    (folio,), _ = pair.prepare(optimize)
    pair.run(OPTIMIZE, optimize, [folio])
    assert not [*differing_counters(pair), *differing_memory(pair)]
    machine = pair.kernel.machine
    layout, entry = machine.struct_pages.layout, machine.tables.find(folio + 4096)
    machine.memory.write_word(entry.slot, 0)
    machine.cpus[0].store_word(folio + layout.mapping, 1)
    key = machine.key
    machine.change_key(1)
    differences = [(one.what, one.kernel, one.engine) for one in differing_counters(pair)]
    assert differences == [("static key", f"{key + 1}", f"{key}")]
    whats = {one.what: one for one in differing_memory(pair)}
    assert whats[f"pte entry of VA {folio + 4096:#x}"].engine == machine.target.describe("pte", entry.raw)
    assert f"struct page of PFN {machine.struct_pages.pfn(folio):#x}, mapping" in whats
    assert len(whats) == 2


@FETCHED
def test_the_words_through_which_a_kernel_links_freed_pages_are_omitted(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    optimize = scenario(OPTIMIZE)
    (folio,), _ = pair.prepare(optimize)
    freed = pair.kernel.machine.tables.frames(folio, 8)[1]
    pair.run(OPTIMIZE, optimize, [folio])
    machine = pair.kernel.machine
    page, layout = machine.struct_pages.va(int(freed)), machine.struct_pages.layout
    machine.cpus[0].store_word(page + layout.lru_next, 0x1234)
    assert not list(differing_memory(pair))
    machine.cpus[0].store_word(page + layout.private, 0x1234)
    assert len(list(differing_memory(pair))) == 1
