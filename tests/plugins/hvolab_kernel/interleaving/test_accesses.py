# SPDX-License-Identifier: GPL-2.0-only
"""Accesses of a CPU in the footprint of its steps."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab_explorer.world.world import WorldProgram
from hvolab_kernel.interleaving import accesses, points
from hvolab_kernel.interleaving.accesses import Accesses, Known
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.interleaving.kernel_worlds import EngineOf, code_of, explored, program
from tests.plugins.hvolab_kernel.kernel_machines import EACH_FOLIO, X86

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")


@X86
def test_words_of_a_new_frame_and_of_the_stack_are_not_shared(real_kernel: Kernel) -> None:
    made = program(EngineOf(real_kernel), "optimize A, optimize B")
    explored(made)
    code, memory = code_of(made), made.world.machine.memory
    words = {token for tokens in code.knowledge.shared.values() for token in tokens if isinstance(token, int)}
    stacks = [one.stack for one in code.loaded.processors]
    assert not any(stack.pa <= word << 3 < stack.pa + stack.size for word in words for stack in stacks)
    # of the machine's memory only the struct pages of frames that the other CPU has freed
    shift, pages = memory.page_shift, made.world.machine.struct_pages
    backing = set(made.world.machine.tables.frames(pages.va(memory.first_pfn), 512).tolist())
    assert {word << 3 >> shift for word in words if word << 3 < memory.base + memory.size} <= backing


@X86
def test_an_actor_of_the_model_and_the_code_share_the_entries_that_the_code_changes(real_kernel: Kernel) -> None:
    made = program(EngineOf(real_kernel), "optimize A, walk-ahead A.64")
    result = explored(made)
    assert result.complete
    code, world = code_of(made), made.world
    entry = world.machine.tables.walk(world.folios[0] + 64 * 64)[-1].slot
    assert entry >> 3 in code.knowledge.shared[0, True]
    assert any("set_pte" in real_kernel.describe(va) for va in code.knowledge.points)


class Nothing(set[int]):
    """A set to which nothing is added."""

    def add(self, element: int, /) -> None:
        del element


class LookedAt(Known):
    """Accesses that are all looked at."""

    def __post_init__(self) -> None:
        self.frames = self.settled = Nothing()


@pytest.mark.slow
@EACH_FOLIO
@pytest.mark.parametrize(
    ("actors", "split"),
    [
        pytest.param("optimize A, optimize B", False, marks=pytest.mark.long),
        ("optimize A, restore B", True),
        ("optimize A, walk-ahead A.64", False),
        ("restore A, scanner A.64", True),
        ("optimize-list A B, scanner A.64", False),
    ],
)
def test_accesses_that_are_not_looked_at_change_nothing(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch, actors: str, *, split: bool
) -> None:
    made = program(EngineOf(real_kernel), actors, split=split)
    found = explored(made, seconds=600)
    monkeypatch.setattr(accesses, "Known", LookedAt)
    monkeypatch.setattr(points, "_PAGE_COPIES", {})
    whole = program(EngineOf(real_kernel), actors, split=split)
    expected = explored(whole, seconds=600)
    assert found.complete
    assert expected.complete
    assert (found.classes, found.schedules) == (expected.classes, expected.schedules)
    assert code_of(made).knowledge == code_of(whole).knowledge


def under_way(kernel: Kernel, *, split: bool = True) -> tuple[WorldProgram, Accesses]:
    """A program whose first actor is in its first step, and the accesses of its CPU."""
    made = program(EngineOf(kernel), "optimize A, optimize B", split=split)
    made.restore()
    made.scheduler.current = made.actors()[0]
    return made, code_of(made)._accesses[0]


@X86
def test_a_frame_is_looked_at_again_once_a_page_has_another_one(real_kernel: Kernel) -> None:
    made, own = under_way(real_kernel)
    machine, folio = made.world.machine, made.world.folios[0]
    shift = machine.target.mode.page_shift
    step = machine.tables.find(folio)
    frame, other = machine.tables.frame_of(folio), machine.alloc_pages(0, 0, 0)
    assert frame is not None
    assert other is not None
    for pa, va in ((frame << shift, folio), (other << shift, machine.page_to_virt(other))):
        own.touch(pa, 8, stores=False, va=va)
    assert {frame, other} <= own.known[False].frames
    machine.memory.write_entry(step.slot, machine.target.leaf(step.level.name, other, PgprotRole.KERNEL))
    own.touch(step.slot, 8, stores=True, va=machine.virt(step.slot))
    code_of(made)._complete()
    assert own.known[False].frames.isdisjoint({frame, other})
    own.touch(frame << shift, 8, stores=False, va=folio)  # by the translation that is cached
    assert (0, folio >> shift) in code_of(made).knowledge.growing.exposed


@X86
def test_a_frame_is_looked_at_again_once_it_is_a_table_that_maps_the_same(real_kernel: Kernel) -> None:
    made, own = under_way(real_kernel, split=False)
    machine, folio = made.world.machine, made.world.folios[0]
    mode, frame, step = machine.target.mode, machine.alloc_pages(0, 0, 0), machine.tables.find(folio)
    assert frame is not None
    assert step.level is not mode.last
    first = folio & -step.level.size
    frames = machine.tables.frames(first, mode.last.entries)
    table = frame << mode.page_shift
    machine.memory.entry_view(table, frames.size)[:] = machine.target.leaves(mode.last.name, frames, PgprotRole.KERNEL)
    own.touch(table, 8, stores=True, va=machine.virt(table))
    assert frame in own.known[True].frames
    machine.memory.write_entry(step.slot, machine.target.table(step.level.name, frame))
    own.touch(step.slot, 8, stores=True, va=machine.virt(step.slot))
    code_of(made)._complete()
    assert frame not in own.known[True].frames
    assert frame in code_of(made)._translations.tables
    assert not code_of(made).knowledge.growing.pages  # no translation has changed


@X86
def test_a_frame_is_looked_at_again_once_it_is_free(real_kernel: Kernel) -> None:
    made, own = under_way(real_kernel)
    machine = made.world.machine
    pfn = machine.alloc_pages(0, 0, 0)
    assert pfn is not None
    pa, va = pfn << machine.target.mode.page_shift, machine.page_to_virt(pfn)
    for _ in range(2):
        own.touch(pa, 8, stores=True, va=va)
    assert pfn in own.known[True].frames
    assert not made.scheduler.findings
    machine.free_pages(pfn, 0)
    assert pfn not in own.known[True].frames
    own.touch(pa, 8, stores=True, va=va)
    (finding,) = made.scheduler.findings
    assert "stores to a free frame" in finding
