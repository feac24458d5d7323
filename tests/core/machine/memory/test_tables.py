# SPDX-License-Identifier: GPL-2.0-only
"""Page tables: walks, runs and frames over leaves of every size, and over what is not mapped."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import EntryKind, Level, PgprotRole, Target
from hvolab.errors import AbsentMemoryError, EncodingError, MachineError
from hvolab.machine import PageTables, PhysicalMemory
from hvolab_x86_64.description import X86_64
from tests.made_up import MADE_UP

KERNEL, LARGE = PgprotRole.KERNEL, PgprotRole.KERNEL_LARGE
VA = 0xFFFFEA0000000000
PAGE, BLOCK = 1 << 12, 1 << 21


class Tables:
    """Empty tables in 64 MiB, and where the next one goes."""

    def __init__(self, target: Target | None = None) -> None:
        self.target = X86_64.select() if target is None else target
        base = self.target.architecture.ram_base
        mode = self.target.mode
        order = self.target.architecture.byte_order
        self.memory = PhysicalMemory(base, 64 << 20, page_shift=mode.page_shift, byte_order=order)
        self.next = base + (1 << 20)
        self.tables = PageTables(self.memory, self.target, self.new_table(mode.levels[0]))

    def new_table(self, level: Level) -> int:
        size = max(level.table_bytes, self.target.mode.page_size)
        self.next += size
        return self.next - size

    def map(self, va: int, pfn: int, level: str) -> None:
        self.tables.map_leaf(va, pfn, level, KERNEL if level == "pte" else LARGE, self.new_table)


def mixed() -> Tables:
    """A leaf of 2 MiB, a table with pages 0, 1 and 3 mapped, nothing, and another leaf."""
    made = Tables()
    made.map(VA, 0x200, "pmd")
    for page, pfn in ((0, 7), (1, 5), (3, 6)):
        made.map(VA + BLOCK + page * PAGE, pfn, "pte")
    made.map(VA + 3 * BLOCK, 0x600, "pmd")
    return made


def test_a_walk_tells_every_step() -> None:
    made = mixed()
    steps = made.tables.walk(VA + BLOCK + 3 * PAGE)
    assert [step.level.name for step in steps] == ["pgd", "pud", "pmd", "pte"]
    assert [step.kind for step in steps] == [EntryKind.TABLE] * 3 + [EntryKind.LEAF]
    assert steps[-1].raw == 0x8000000000006163
    assert made.memory.read_word(steps[-1].slot) == steps[-1].raw
    assert [step.level.name for step in made.tables.walk(VA)] == ["pgd", "pud", "pmd"]


@pytest.mark.parametrize(
    ("va", "level", "kind"),
    [
        (VA + 5, "pmd", EntryKind.LEAF),
        (VA + BLOCK + 2 * PAGE, "pte", EntryKind.NONE),
        (VA + 2 * BLOCK, "pmd", EntryKind.NONE),
        (VA + (1 << 40), "pgd", EntryKind.NONE),
    ],
)
def test_a_walk_ends_where_no_table_is_pointed_to(va: int, level: str, kind: EntryKind) -> None:
    tables = mixed().tables
    step = tables.find(va)
    assert (step.level.name, step.kind) == (level, kind)
    assert tables.walk(va)[-1] == step


@pytest.mark.parametrize(
    ("va", "pfn"),
    [
        (VA, 0x200),
        (VA + 17 * PAGE + 3, 0x211),
        (VA + BLOCK + PAGE, 5),
        (VA + BLOCK + 2 * PAGE, None),
        (VA + 2 * BLOCK, None),
        (VA + 3 * BLOCK + 511 * PAGE, 0x7FF),
    ],
)
def test_the_frame_behind_a_va(va: int, pfn: int | None) -> None:
    assert mixed().tables.frame_of(va) == pfn


def test_frames_of_a_range_over_leaves_tables_and_holes() -> None:
    tables = mixed().tables
    frames = tables.frames(VA + 510 * PAGE, 2 + 512 + 512 + 2)
    assert frames[:2].tolist() == [0x200 + 510, 0x200 + 511]
    assert frames[2:7].tolist() == [7, 5, -1, 6, -1]
    assert set(frames[7 : 2 + 1024].tolist()) == {-1}
    assert frames[-2:].tolist() == [0x600, 0x601]


def test_frames_of_a_range_are_those_of_each_page() -> None:
    tables = mixed().tables
    one_by_one = [tables.frame_of(VA + page * PAGE) for page in range(4 * 512)]
    assert tables.frames(VA, 4 * 512).tolist() == [-1 if pfn is None else pfn for pfn in one_by_one]


def test_runs_are_single_entries_above_the_last_level_and_whole_tables_at_it() -> None:
    runs = list(mixed().tables.runs(VA + PAGE, VA + 3 * BLOCK + PAGE))
    assert [(run.va - VA, run.level.name, run.raws.size, run.kind) for run in runs] == [
        (PAGE, "pmd", 1, EntryKind.LEAF),
        (BLOCK, "pte", 512, EntryKind.LEAF),
        (2 * BLOCK, "pmd", 1, EntryKind.NONE),
        (3 * BLOCK, "pmd", 1, EntryKind.LEAF),
    ]


def test_a_run_shows_memory_and_not_a_copy() -> None:
    made = mixed()
    (run,) = made.tables.runs(VA + BLOCK, VA + BLOCK + 2 * PAGE)
    made.memory.write_word(run.slot + 8, 0)
    assert [hex(raw) for raw in run.raws.tolist()] == ["0x8000000000007163", "0x0"]


def test_an_empty_range_has_no_runs() -> None:
    assert list(mixed().tables.runs(VA, VA)) == []


def test_a_table_outside_memory_is_absent_to_every_kind_of_walk() -> None:
    made = mixed()
    made.memory.write_word(made.tables.find(VA).slot, made.target.table("pmd", 1 << 30))
    for walk in (made.tables.walk, made.tables.find, made.tables.descend, made.tables.frame_of):
        with pytest.raises(AbsentMemoryError):
            walk(VA)
    with pytest.raises(AbsentMemoryError):
        made.tables.frames(VA - PAGE + BLOCK, 2)
    assert "no memory at PA" in made.tables.describe(VA)


def test_a_table_that_a_core_does_not_hold_is_absent() -> None:
    made = mixed()
    made.memory.present = np.ones(made.memory.frames, dtype=np.bool_)
    made.memory.present[made.tables.find(VA + BLOCK).slot >> 12] = False
    with pytest.raises(AbsentMemoryError, match="not in the core"):
        made.tables.find(VA + BLOCK)
    assert made.tables.frame_of(VA) == 0x200


def test_descending_notes_the_tables_on_the_way() -> None:
    made = mixed()
    seen: list[int] = []
    depth, index, raw = made.tables.descend(VA + BLOCK, seen)
    assert [step.raw for step in made.tables.walk(VA + BLOCK)] == [*seen, raw]
    read: list[tuple[int, int]] = []
    assert made.tables.descend(VA + BLOCK, read=read) == (depth, index, raw)
    base = made.memory.base
    assert [(step.slot, step.raw) for step in made.tables.walk(VA + BLOCK)] == [
        (base + 8 * at, word) for at, word in read
    ]
    assert (depth, made.memory.base + index * 8) == (3, made.tables.find(VA + BLOCK).slot)


def test_a_page_cannot_be_mapped_inside_a_leaf() -> None:
    made = mixed()
    with pytest.raises(MachineError, match="already mapped above level pte") as caught:
        made.map(VA + PAGE, 1, "pte")
    assert "0x80000000002001e3" in caught.value.where


def test_a_walk_is_described_entry_by_entry() -> None:
    told = mixed().tables.describe(VA + BLOCK + PAGE)
    assert [part.split()[0] for part in told.split(" -> ")] == ["pgd", "pud", "pmd", "pte"]
    assert "0x8000000000005163 (pte leaf pfn=0x5 P|RW|A|D|G|NX)" in told


def test_tables_of_three_sizes_and_a_split_address_are_walked_alike() -> None:
    made = Tables(MADE_UP.select())
    va, pfn = 0xFFFFFFF000000000, 0x90000
    for page in range(130):  # two tables of 128 entries
        made.tables.map_leaf(va + (page << 14), pfn + page, "last", KERNEL, made.new_table)
    assert made.tables.frames(va, 131).tolist() == [*range(pfn, pfn + 130), -1]
    runs = list(made.tables.runs(va, va + (130 << 14)))
    assert [run.raws.size for run in runs] == [128, 2]
    assert [step.level.name for step in made.tables.walk(va)] == ["root", "middle", "last"]
    high = 1 << 29  # a PFN whose bits stand in the upper part
    made.tables.map_leaf(va + (1 << 30), high | 1, "last", KERNEL, made.new_table)
    assert made.tables.frame_of(va + (1 << 30)) == high | 1


@pytest.mark.parametrize("made_up", [False, True], ids=["x86_64", "made up"])
def test_leaves_side_by_side_are_as_mapped_one_by_one(made_up: bool) -> None:  # noqa: FBT001
    target = MADE_UP.select() if made_up else X86_64.select()
    together, singly = Tables(target), Tables(target)
    last, va, pfn = target.mode.last, target.mode.direct_map_base, 0x90000
    start, count = va + (last.entries - 3) * last.size, 2 * last.entries  # three tables
    together.tables.map_leaves(start, pfn, count, last.name, KERNEL, together.new_table)
    for page in range(count):
        singly.tables.map_leaf(start + page * last.size, pfn + page, last.name, KERNEL, singly.new_table)
    assert np.array_equal(together.memory.words, singly.memory.words)
    assert together.next == singly.next


def test_leaves_whose_frames_cannot_stand_in_an_entry_are_refused() -> None:
    made = Tables()
    with pytest.raises(EncodingError, match="PFN 0x10000000000 does not fit in"):
        made.tables.map_leaves(VA, (1 << 40) - 2, 4, "pte", KERNEL, made.new_table)
