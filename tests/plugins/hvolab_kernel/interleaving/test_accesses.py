# SPDX-License-Identifier: GPL-2.0-only
"""Accesses of a CPU in the footprint of its steps."""

from __future__ import annotations

import pytest

from hvolab_kernel.interleaving import accesses, points
from hvolab_kernel.interleaving.accesses import Known
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
@pytest.mark.parametrize(("actors", "split"), [("optimize A, optimize B", False), ("optimize A, restore B", True)])
def test_accesses_that_are_not_looked_at_change_nothing(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch, actors: str, *, split: bool
) -> None:
    made = program(EngineOf(real_kernel), actors, split=split)
    found = explored(made)
    monkeypatch.setattr(accesses, "Known", LookedAt)
    monkeypatch.setattr(points, "_PAGE_COPIES", {})
    whole = program(EngineOf(real_kernel), actors, split=split)
    expected = explored(whole)
    assert found.complete
    assert (found.classes, found.schedules) == (expected.classes, expected.schedules)
    assert code_of(made).knowledge == code_of(whole).knowledge
