# SPDX-License-Identifier: GPL-2.0-only
"""Exploration of kernels' own compiled code on several CPUs."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.runs.shrink import replay, shrink
from hvolab_explorer.schedule import Replay, segments_of
from hvolab_explorer.search.bounded import Bounded
from hvolab_explorer.search.decisions import Search
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.search.random_walk import RandomWalk
from hvolab_explorer.world.world import WorldProgram
from hvolab_kernel.code.instructions import function_named
from hvolab_unicorn.emulator.library import AccessHook
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.interleaving.kernel_worlds import EngineOf, code_of, explored, program
from tests.plugins.hvolab_kernel.kernel_machines import EACH_FOLIO, FOLIOS, READERS, X86, X86_7, X86_AND_ARM64

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

LOCKS = ("_raw_spin_lock", "_raw_spin_unlock")


@pytest.mark.slow
@FOLIOS
def test_two_optimizers_below_one_table_are_explored_to_the_end(real_kernel: Kernel) -> None:
    made = program(EngineOf(real_kernel), "optimize A, optimize B")
    result = explored(made)
    assert result.complete
    assert not result.findings
    assert len(result.classes) >= 4  # orders of two grace periods and of two critical sections, or more
    assert result.refined
    world = made.world
    assert all(world.engines[0].folio_optimized(folio) for folio in world.folios)


@pytest.mark.slow
@READERS
def test_mixed_actors_of_code_and_model_are_explored_to_the_end(real_kernel: Kernel) -> None:
    result = explored(program(EngineOf(real_kernel), "optimize A, scanner A.64 A.70"))
    assert result.complete
    assert not result.findings
    assert len(result.classes) > 1


@pytest.mark.long
@EACH_FOLIO
def test_a_memory_error_in_a_neighbor_of_a_folio_that_is_optimized_is_explored_to_the_end(real_kernel: Kernel) -> None:
    result = explored(program(EngineOf(real_kernel), "add A, memory-failure B.70"), seconds=600)
    assert result.complete
    assert not result.findings
    assert len(result.classes) > 1000


@pytest.mark.long
@EACH_FOLIO
def test_a_memory_error_in_a_head_page_that_is_copied_is_all_that_is_lost(real_kernel: Kernel) -> None:
    result = explored(program(EngineOf(real_kernel), "add A, memory-failure A.70"), seconds=600)
    assert result.complete
    (finding,) = result.findings
    assert "a folio with a memory error has no PG_hwpoison" in finding


@pytest.mark.slow
@X86_7
def test_a_speculative_reference_meets_a_read_only_tail_without_a_grace_period(real_kernel: Kernel) -> None:
    result = explore(program(EngineOf(real_kernel), "recycle A.64, taker A.64"), Dpor(), Limits(seconds=60))
    (finding,) = result.findings
    assert finding.startswith("taker A.64 faults: permission fault")


@X86_AND_ARM64
@pytest.mark.slow
@pytest.mark.parametrize(
    "search", [lambda: Dpor(sleep=False), lambda: Bounded(None)], ids=["without-sleep-sets", "every-order"]
)
def test_other_searches_find_the_same_classes(real_kernel: Kernel, search: Callable[[], Search]) -> None:
    made = program(EngineOf(real_kernel), "optimize A, walk-ahead A.64", split=True)
    wanted = explored(made)
    other = explore(made, search(), Limits(first_finding=False))
    assert other.complete
    assert other.classes == wanted.classes


@X86
@pytest.mark.slow
def test_loads_that_are_not_looked_at_are_of_frames_to_which_nothing_stores(real_kernel: Kernel) -> None:
    made, whole = (program(EngineOf(real_kernel), "optimize A, sysctl-off, restore B") for _ in range(2))
    memory = code_of(whole).loaded.memory
    everything = range(memory.first_pfn, memory.first_pfn + memory.frames)
    for cpu in code_of(whole)._cpus:
        last = memory.base + memory.size - 1
        cpu._callbacks.append(AccessHook(cpu._uc, memory.base, last, cpu._on_load, stores=False))
        cpu._looked_at.update(everything)
    found, expected = explored(made), explored(whole)
    assert found.complete
    assert found.classes == expected.classes
    assert len(found.classes) > 1  # the sysctl is a word of the kernel's memory
    assert 0 < len(code_of(made).knowledge.stored) < memory.frames // 10


@X86
@pytest.mark.slow
def test_two_cpus_split_one_leaf(real_kernel: Kernel) -> None:
    result = explored(program(EngineOf(real_kernel), "optimize A, optimize B", split=False))
    assert result.complete
    assert not result.findings
    assert len(result.classes) > 10


@pytest.mark.slow
@X86
def test_a_kernel_whose_spin_locks_return_at_once_is_caught(real_kernel: Kernel) -> None:
    made = program(EngineOf(real_kernel, LOCKS), "optimize A, optimize B", split=False)
    result = explore(made, Dpor(), Limits(seconds=60))
    assert result.findings
    found = shrink(made, replay(made, next(iter(result.findings.values()))))
    assert len(segments_of(found.log)) <= 6
    # the schedule needs no knowledge of a search: it has the same finding in another world
    steps, points = code_of(made).portable(replay(made, found).log)
    assert points
    again = program(EngineOf(real_kernel, LOCKS), "optimize A, optimize B", split=False)
    code_of(again).use_points(points)
    repeat = Replay(segments_of(steps))
    assert found.text in explore(again, repeat, Limits(schedules=1, first_finding=False, refines=False)).findings
    assert repeat.exact


@X86
@pytest.mark.slow
def test_no_schedule_of_smaller_steps_reaches_another_state(real_kernel: Kernel) -> None:
    wanted = states(program(EngineOf(real_kernel), "optimize A, optimize B", split=False), Dpor(), 1000)
    made = program(EngineOf(real_kernel), "optimize A, optimize B", split=False)
    functions = [
        function_named(real_kernel, name) for name in ("walk_pgd_range", "vmemmap_remap_pte", "native_set_pmd")
    ]
    code_of(made).use_points([real_kernel.describe(one.va) for function in functions for one in function.instructions])
    assert states(made, RandomWalk(), 6) <= wanted


def states(made: WorldProgram, search: Search, schedules: int) -> set[int]:
    """Checksums of what was stored in schedules, without what emulators have in memory."""
    machine, found = made.world.machine, set[int]()
    memory, first = machine.memory, machine.scratch_pfns[1]

    class Recorded(WorldProgram):
        def check(self) -> list[str]:
            sums = [
                (start, crc32(memory.words[start:stop].data))
                for start, stop in memory.changed(first, memory.first_pfn + memory.frames - first)
            ]
            found.add(hash(tuple(sums)))
            return super().check()

    made.__class__ = Recorded
    result = explore(made, search, Limits(schedules, first_finding=False, refines=search.exhaustive))
    assert not result.findings
    return found


@pytest.mark.slow
@X86
def test_the_same_schedule_leaves_the_same_bytes(real_kernel: Kernel) -> None:
    made = program(EngineOf(real_kernel), "optimize A, restore B")
    contents = []
    for _ in range(2):
        explore(made, Replay([]), Limits(schedules=1, refines=False))
        code = code_of(made)
        contents.append((made.world.machine.memory.octets.tobytes(), code.loaded.memory.octets.tobytes()))
    assert contents[0] == contents[1]


@X86
def test_points_of_another_kernel_are_refused(real_kernel: Kernel) -> None:
    code = code_of(program(EngineOf(real_kernel), "optimize A"))
    with pytest.raises(UsageError, match=r"no instruction no_such_function\+0x4"):
        code.use_points(["no_such_function+0x4"])
