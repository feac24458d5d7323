# SPDX-License-Identifier: GPL-2.0-only
"""The picture of a folio's vmemmap: what is drawn, and that it fits."""

from __future__ import annotations

import functools

import pytest

from hvolab.cli.picture import draw, shown_pages
from hvolab.scenario import FolioHistory, ScenarioSpec, run_scenario
from hvolab_arm64.description import ARM64
from tests.machines import GIB, MIB, x86_64


@functools.cache
def histories() -> dict[int, FolioHistory]:
    """A 2 MiB and a 1 GiB page, from one scenario."""
    result = run_scenario(ScenarioSpec(x86_64(), hugepages={2 * MIB: 1, GIB: 1}))
    return {history.size: history for history in result.folios}


@pytest.mark.slow
def test_every_page_of_a_small_vmemmap_has_a_row_with_its_va_and_its_frames() -> None:
    history = histories()[2 * MIB]
    rows = [line for line in draw(history, 100).plain.splitlines() if "│ 0xffffea" in line]
    assert len(rows) == 8
    for page, row in enumerate(rows):
        assert f"│ {history.before.va + page * 4096:#x} │" in row
        assert f"── RW ──▶│ {history.before.frame(page):#x} " in row
        assert f"── RW ──▶│ {history.restored.frame(page):#x} " in row
        assert row.count("── RO ──") == (page > 0)


@pytest.mark.slow
def test_of_a_large_vmemmap_the_first_and_the_last_pages_are_drawn() -> None:
    assert shown_pages(4096) == [0, 1, 2, None, 4095]
    drawn = draw(histories()[GIB], 100).plain
    assert "⋮ 4092 more" in drawn
    assert "8 pmd" in drawn
    assert "4096 pte" in drawn


def test_tails_lead_to_the_heads_frame() -> None:
    lines = draw(histories()[2 * MIB], 100).plain.splitlines()
    start = lines[0].index("optimized")
    column = [line[start - 10 : start + 10].rstrip() for line in lines]
    assert column[2].endswith("│")
    joint = column[3].index("┐└")
    arrow = column[3].index("▲")
    assert all(line[joint] == "┤" and line[arrow] == "│" for line in column[4:10])
    assert column[10][joint] == "└"
    assert column[10][arrow] == "┘"


@pytest.mark.parametrize("size", [2 * MIB, GIB])
@pytest.mark.parametrize(("width", "columns"), [(78, 2), (98, 3), (200, 3)])
def test_what_does_not_fit_is_left_out_and_nothing_is_cut(size: int, width: int, columns: int) -> None:
    lines = draw(histories()[size], width).plain.splitlines()
    assert max(map(len, lines)) <= width
    titles = ("before", "optimized", "restored")
    assert [title for title in titles if title in lines[0]] == list(titles[:columns])


def test_a_terminal_that_knows_only_ascii_gets_the_same_picture() -> None:
    plain = draw(histories()[GIB], 100, ascii_only=True).plain
    assert plain.isascii()
    assert [len(line) for line in plain.splitlines()] == [
        len(line) for line in draw(histories()[GIB], 100).plain.splitlines()
    ]


def test_a_vmemmap_that_is_smaller_than_a_page_is_part_of_one() -> None:
    target = ARM64.select("64K-42bit")
    result = run_scenario(ScenarioSpec(target, hugepages={2 * MIB: 8}))
    (history,) = result.folios
    assert history.before.va % target.mode.page_size
    (run,) = history.before.runs
    assert (run.page, run.pages, run.entries, run.va) == (0, 1, 1, history.before.va)
    assert "part of 1 page" in draw(history, 120).plain
