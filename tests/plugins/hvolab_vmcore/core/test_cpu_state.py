# SPDX-License-Identifier: GPL-2.0-only
"""Registers of CPUs in notes of dumps."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_vmcore.core.cpu_state import CpuState, cpu_state_of
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from tests.plugins.hvolab_vmcore.changed_cores import BOOT, OPTIMIZED_2M, VMEMMAP, scanned

#: CR0, CR3, CR4 and CS of a guest that QEMU dumped, with PTI off.
CR0, CR3, CR4, CS = 0x80050033, 0x2C22000, 0x6F0, 0x10


def note(cr3: int = CR3, *, cr0: int = CR0, cr4: int = CR4, selector: int = CS, version: int = 1) -> CoreNote:
    segments = struct.pack("<4IQ", selector, 0, 0, 0, 0) + bytes(9 * 24)
    control = struct.pack("<5Q", cr0, 0, 0, cr3, cr4)
    return CoreNote("QEMU", 0, struct.pack("<2I", version, 440) + bytes(144) + segments + control + bytes(8))


def core_with(notes: tuple[CoreNote, ...], to: Path) -> Path:
    """Write the memory of a capture with other notes."""
    core = open_core(OPTIMIZED_2M)
    memory = [Memory(one.physical, core.data(one).tobytes(), one.size) for one in core.segments]
    to.write_bytes(write_core(memory, notes))
    return to


def test_a_core_without_vmcoreinfo_is_read_by_a_cpu_s_registers(tmp_path: Path) -> None:
    found = open_scan(core_with((note(),), tmp_path / "a.core"))
    assert found.snapshot.tables.root == scanned(OPTIMIZED_2M).snapshot.tables.root == CR3
    assert (found.snapshot.vmemmap, found.snapshot.target.mode.name) == (VMEMMAP, "4-level")
    assert int(found.huge_pages[-1].optimized.sum()) == 8
    assert any("a CPU's registers" in text for text in found.snapshot.core.warnings)
    assert any("without KASLR" in text for text in found.snapshot.core.warnings)


def test_only_a_cpu_that_ran_the_kernel_leads_to_its_tables(tmp_path: Path) -> None:
    core = open_core(core_with((note(0x9000, selector=0x33), note(cr0=0x11), note()), tmp_path / "a.core"))
    assert cpu_state_of(core, "EM_X86_64") == CpuState(CR3, 48)
    assert cpu_state_of(core, "EM_RISCV") is None
    five = open_core(core_with((note(CR3 | 0x1018, cr4=CR4 | 1 << 12),), tmp_path / "b.core"))
    assert cpu_state_of(five, "EM_X86_64") == CpuState(CR3 | 0x1000, 57)


@pytest.mark.parametrize("notes", [(), (note(version=2),), (CoreNote("QEMU", 0, bytes(40)),), (note(selector=0x33),)])
def test_without_such_a_cpu_all_that_is_missing_is_named(notes: tuple[CoreNote, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the paging mode, the root page table, the VA of the vmemmap"):
        open_snapshot(core_with(notes, tmp_path / "a.core"))


def test_vmcoreinfo_and_options_come_first(tmp_path: Path) -> None:
    info = next(one for one in open_core(OPTIMIZED_2M).notes if one.name == "VMCOREINFO")
    assert open_snapshot(core_with((note(0x9000), info), tmp_path / "a.core")).tables.root == CR3
    options = SnapshotOptions(root=CR3, vmemmap=VMEMMAP)
    assert open_snapshot(core_with((note(0x9000),), tmp_path / "b.core"), options).tables.root == CR3
    assert cpu_state_of(open_core(BOOT), "EM_X86_64") is None
