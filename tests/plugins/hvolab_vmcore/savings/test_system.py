# SPDX-License-Identifier: GPL-2.0-only
"""Machines from /proc and /sys."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_vmcore.savings.system import read_system
from tests.plugins.hvolab_vmcore.savings.machines_on_disk import write_machine


def test_huge_pages_are_counted_by_node_and_size(tmp_path: Path) -> None:
    system = read_system(write_machine(tmp_path, {"0/2048": 512, "1/2048": 0, "0/1048576": 2, "1/1048576": 1}))
    assert (system.kernel, system.memory, system.hvo) == ("6.12.0-test", 64 << 30, "on")
    assert [(pool.size >> 20, pool.node, pool.huge_pages) for pool in system.pools] == [
        *((1024, 0, 2), (1024, 1, 1), (2, 0, 512), (2, 1, 0)),
    ]
    assert [pool.possible for pool in system.pools] == [2 * 4095 * 4096, 4095 * 4096, 512 * 7 * 4096, 0]


@pytest.mark.parametrize(("switch", "hvo", "saved"), [("1", "on", None), ("0", "off", None), (None, "not there", 0)])
def test_which_pages_are_optimized_is_not_guessed(
    tmp_path: Path, switch: str | None, hvo: str, saved: int | None
) -> None:
    system = read_system(write_machine(tmp_path, {"2048": 8}, switch=switch))
    (pool,) = system.pools
    assert (system.hvo, pool.node, pool.saved, pool.optimized) == (hvo, None, saved, saved)
    assert any("vm.hugetlb_optimize_vmemmap" in note or "a dump shows" in note for note in system.notes)


def test_what_cannot_be_read_is_assumed_with_a_note(tmp_path: Path) -> None:
    system = read_system(write_machine(tmp_path, {"524288": 1}, page="64"))
    assert (system.page_size, system.struct_page_size) == (64 << 10, 64)
    assert "type information cannot be read: a struct page is assumed to have 64 bytes" in system.notes
    (tmp_path / "proc/self/smaps").unlink()
    assert any("assumed to be that of this machine" in note for note in read_system(tmp_path).notes)


@pytest.mark.parametrize("page", ["0", "3"])
def test_a_size_that_makes_no_sense_is_left_out_and_a_count_that_cannot_be_read_is_a_note(
    page: str, tmp_path: Path
) -> None:
    system = read_system(write_machine(tmp_path, {"2048": 8, "0": 3, "3": 3}, page=page))
    assert [(pool.size >> 20, pool.huge_pages) for pool in system.pools] == [(2, 8)]
    assert any("assumed to be that of this machine" in note for note in system.notes)
    (count,) = tmp_path.glob("sys/**/hugepages-2048kB/nr_hugepages")
    count.write_text("?\n")
    found = read_system(tmp_path)
    assert found.pools == ()
    assert found.notes[-1].startswith("the number of huge pages cannot be read, they are left out: /sys/")
    assert found.notes[-1].endswith("hugepages-2048kB/nr_hugepages")


def test_this_machine_can_be_read() -> None:
    system = read_system(Path("/"))
    assert system.memory > 0
    assert system.struct_page_size >= 32


def test_a_folder_without_proc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no MemTotal"):
        read_system(tmp_path)
