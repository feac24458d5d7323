# SPDX-License-Identifier: GPL-2.0-only
"""Two equal machines, their checkpoints, and the steps that they run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.errors import MachineError
from hvolab.machine import VmemmapBacking
from hvolab.machine.frames.failure import FailCalls
from hvolab_kernel.comparison import MachinePair, Operation, Scenario, ScenarioStep, target_of
from hvolab_kernel.comparison.machine_pair import place_folios
from hvolab_kernel.comparison.scenarios import FolioPlacement
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, X86

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

OPTIMIZE, RESTORE = ScenarioStep(Operation.OPTIMIZE), ScenarioStep(Operation.RESTORE)


def pair_of(kernel: Kernel) -> MachinePair:
    return MachinePair(target_of(kernel), kernel, memory=512 << 20, backing=VmemmapBacking.BUDDY)


def scenario(*steps: ScenarioStep, prelude: tuple[ScenarioStep, ...] = (), flip: int = 0) -> Scenario:
    return Scenario("test", 9, VmemmapBacking.BUDDY, (FolioPlacement(),), prelude, steps, flip)


@pytest.mark.slow
@FETCHED
def test_every_case_begins_in_the_state_after_the_prelude(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    restore = scenario(RESTORE, prelude=(OPTIMIZE,))
    folios, prelude = pair.prepare(restore)
    assert [results.step for results in prelude] == [str(OPTIMIZE)]
    before = [one.machine.memory.pages[one.used].copy() for one in pair.both]
    results = [pair.run(RESTORE, restore, folios)]
    assert pair.prepare(restore) == (folios, [])
    for one, saved in zip(pair.both, before, strict=True):
        assert np.array_equal(one.machine.memory.pages[one.used], saved)
        assert one.machine.key == pair.target.release.variant.counts_folios
    results.append(pair.run(RESTORE, restore, folios))
    assert results[0] == results[1]
    assert results[0].engine == results[0].kernel
    assert results[0].kernel.value == 0
    assert len(pair.prepare(restore, reuse=False)[1]) == 1


@FETCHED
def test_both_machines_are_built_with_the_same_bytes(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    for one in pair.both:
        one.rebuild(place_folios(pair.engine.machine, scenario(OPTIMIZE)), 9)
    engine, kernel = (one.machine for one in pair.both)
    scratch = range(*(pfn - kernel.memory.first_pfn for pfn in kernel.scratch_pfns))
    assert scratch  # where the emulated CPU keeps its own
    parts = dict([*engine.memory._mapping.contents(), *kernel.memory._mapping.contents()])  # all that is not zero
    shift = kernel.memory.page_shift
    frames = {frame for at, part in parts.items() for frame in range(at >> shift, (at + len(part)) >> shift)}
    compared = sorted(frames.difference(scratch))
    assert np.array_equal(engine.memory.pages[compared], kernel.memory.pages[compared])
    assert len(compared) > kernel.struct_pages.layout.size << 5  # the vmemmap of 512 MiB


@FETCHED
def test_words_that_differ_after_the_prelude_differ_in_every_case(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    optimize = scenario(OPTIMIZE)
    pair.prepare(optimize)
    memory, key = pair.kernel.machine.memory, (optimize.order, optimize.places, optimize.prelude)
    assert pair.differing_words() == []
    word = int(np.flatnonzero(pair.kernel.used)[-1]) * memory.pages.shape[1] + 3
    memory.words[word] ^= 1
    assert pair.differing_words() == [word]
    pair._differing = pair.differing_words()
    pair.kernel.take_initial_state()
    assert pair._prepared == key
    pair.prepare(optimize)
    assert pair.differing_words() == [word]
    memory.words[word] ^= 1
    assert pair.differing_words() == []


@FETCHED
def test_a_failed_call_does_not_spoil_the_next_case(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    optimize = scenario(OPTIMIZE)
    folios, _ = pair.prepare(optimize)
    hvo = pair.kernel_hvo
    hvo.kernel_cpu.instructions = 1000  # the call is stopped with locks held
    first = pair.run(OPTIMIZE, optimize, folios)
    assert "did not end" in str(first.kernel.value)
    hvo.kernel_cpu.instructions = 1 << 24
    folios, _ = pair.prepare(optimize)
    again = pair.run(OPTIMIZE, optimize, folios)
    assert again.kernel == again.engine
    assert again.kernel.value == 0


@X86
def test_the_switch_changes_at_an_outside_call(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    optimize = scenario(OPTIMIZE, flip=2)
    folios, _ = pair.prepare(optimize)
    for one in pair.both:
        one.flip = optimize.flip
    pair.run(OPTIMIZE, optimize, folios)
    assert [one.machine.optimize_enabled for one in pair.both] == [False, False]
    pair.prepare(optimize)
    assert [one.machine.optimize_enabled for one in pair.both] == [True, True]


@X86
def test_failing_allocations_are_counted_on_both_machines(real_kernel: Kernel) -> None:
    pair = pair_of(real_kernel)
    optimize = scenario(OPTIMIZE)
    folios, _ = pair.prepare(optimize)
    for one in pair.both:
        one.frames.failure = FailCalls(frozenset({1}))
    results = pair.run(OPTIMIZE, optimize, folios)
    assert results.engine == results.kernel
    assert pair.engine.frames.failure.calls == pair.kernel.frames.failure.calls > 0


@X86
def test_a_folio_without_room_is_refused(real_kernel: Kernel) -> None:
    with pytest.raises(MachineError, match="the machine has no room for a folio of order 9"):
        pair_of(real_kernel).prepare(replace(scenario(OPTIMIZE), places=(FolioPlacement(100),)))
