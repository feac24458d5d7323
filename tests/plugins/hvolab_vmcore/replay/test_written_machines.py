# SPDX-License-Identifier: GPL-2.0-only
"""Cores of machines that hvolab builds, in every mode of every architecture, with and without a capture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hvolab.arch import Architecture, Target
from hvolab.errors import UsageError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_riscv.description import RISCV
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.core.walk import walk_tables
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.page.way import way_to
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.scan import scan
from hvolab_vmcore.torture.elf_writer import Memory, write_core

ELF_NUMBERS = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_RISCV": 243}
#: VA of the kernel's image; hvolab's machines have none, but it would be at the start of RAM.
IMAGE = 0xFFFFFFFF80000000
TARGETS = [
    (architecture.name, mode.name, features)
    for architecture in registry().architectures().values()
    for mode in architecture.modes
    for features in ((), ("pti",), ("sme",), ("kpti",), ("nolva",), ("lpa",))
    if all(
        any(one.name == name and mode.name in (one.modes or (mode.name,)) for one in architecture.features)
        for name in features
    )
]


def vmcoreinfo(machine: Machine) -> bytes:
    """Return the VMCOREINFO of the machine's kernel."""
    mode = machine.target.mode
    pages = machine.struct_pages
    laid_out = machine.target.architecture.mode(mode.name)
    # the CPU may walk from the last entries of swapper_pg_dir on
    shared = laid_out.levels[0].shift == mode.levels[0].shift
    unused = laid_out.levels[0].table_bytes - mode.levels[0].table_bytes if shared else 0
    root = machine.tables.root - unused
    distance = IMAGE - machine.memory.base
    lines = [
        "OSRELEASE=6.12.0",
        f"PAGESIZE={mode.page_size}",
        f"SYMBOL(swapper_pg_dir)={distance + root:x}",
        f"SYMBOL(vmemmap)={pages.va(0):x}",
        f"SIZE(page)={pages.layout.size}",
        f"NUMBER(MAX_PHYSMEM_BITS)={mode.pa_bits}",
        f"NUMBER(VMEMMAP_START)={pages.va(machine.memory.first_pfn):#x}",
        f"NUMBER(VMEMMAP_END)={pages.va(machine.memory.first_pfn + machine.memory.frames):#x}",
        "NUMBER(phys_base)=0",
        f"NUMBER(pgtable_l5_enabled)={int(mode.va_bits == 57)}",
        f"NUMBER(sme_mask)={1 << 47 if 'sme' in machine.target.features else 0}",
        f"NUMBER(VA_BITS)={laid_out.va_bits}",
        f"NUMBER(TCR_EL1_T1SZ)={64 - mode.va_bits:#x}",
        f"NUMBER(kimage_voffset)={distance:#x}",
        f"NUMBER(va_kernel_pa_offset)={distance:#x}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def dump(machine: Machine, to: Path) -> Path:
    """Write a core as the captures are: the page tables of the vmemmap, and the frames that back it."""
    mode, memory, pages = machine.target.mode, machine.memory, machine.struct_pages
    start, count = pages.va(memory.first_pfn), memory.frames * pages.layout.size >> mode.page_shift
    walk = walk_tables(machine.tables, start, start + (count << mode.page_shift))
    sizes = ((level.pas, level.level.table_bytes) for level in walk.levels)
    tables = [pas + step >> mode.page_shift for pas, size in sizes for step in range(0, size, mode.page_size)]
    frames = np.unique(np.concatenate([*tables, machine.tables.frames(start, count)]))
    held = frames[frames >= 0]
    runs = np.split(held, np.flatnonzero(np.diff(held) != 1) + 1)
    segments = [
        Memory(
            int(run[0]) << mode.page_shift,
            memory.view(int(run[0]) << mode.page_shift, run.size << mode.page_shift).tobytes(),
            run.size << mode.page_shift,
        )
        for run in runs
    ]
    architecture = machine.target.architecture
    notes = (CoreNote("VMCOREINFO", 0, vmcoreinfo(machine)),)
    to.write_bytes(write_core(segments, notes, architecture.byte_order, machine=ELF_NUMBERS[architecture.elf_machine]))
    return to


def pool_of(target: Target) -> Pool:
    """Build a machine for two huge pages of the smallest size that HVO can optimize, and their pool."""
    mode = target.mode
    sizes = [size.size for size in mode.huge_pages if size.size // mode.page_size * 64 > mode.page_size]
    machine = build_machine(target, MachineSpec(memory=max(256 << 20, 4 * sizes[0])))
    (h,) = (h for h in hstates(machine) if h.size == sizes[0])
    return Pool(machine, h, Hvo(machine))


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "mode", "features"), TARGETS)
def test_a_core_of_any_mode_is_inspected_and_replayed(
    tmp_path: Path, architecture: str, mode: str, features: tuple[str, ...]
) -> None:
    target = registry().architecture(architecture).select(mode, features=features)
    pool = pool_of(target)
    boot = dump(pool.machine, tmp_path / "boot.core")
    pool.set_max_huge_pages(2)
    optimized = dump(pool.machine, tmp_path / "optimized.core")
    pool.set_max_huge_pages(0)
    restored = dump(pool.machine, tmp_path / "restored.core")

    snapshot = open_snapshot(optimized)
    assert (snapshot.target.mode.name, snapshot.target.features) == (mode, features)
    found = scan(snapshot)
    assert [int(huge.optimized.sum()) for huge in found.huge_pages if huge.order == pool.h.order] == [2]
    assert found.kinds() == {}
    for before, after, folios in ((boot, optimized, (0, 2)), (optimized, restored, (2, 0))):
        outcome = replay(before, after)
        assert (len(outcome.plan.restored), len(outcome.plan.optimized)) == folios
        assert outcome.differences == ()
        assert outcome.struct_pages_compared > 1 << pool.h.order


def only_described(architecture: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let plugins describe this architecture alone."""
    monkeypatch.setattr(type(registry()), "architectures", lambda _: {architecture.name: architecture})


def test_entries_of_a_core_may_have_another_byte_order_than_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of ppc64le. A core is held against the order of data alone, and its tables are read in that of entries."""
    architecture = replace(RISCV, entry_byte_order="big")
    only_described(architecture, monkeypatch)
    pool = pool_of(architecture.select("Sv39"))
    pool.set_max_huge_pages(1)
    path = dump(pool.machine, tmp_path / "optimized.core")
    found = scan(open_snapshot(path))
    assert [int(huge.optimized.sum()) for huge in found.huge_pages if huge.order == pool.h.order] == [1]
    assert way_to(found.snapshot, next(iter(pool.live))).mapped
    only_described(replace(RISCV, byte_order="big"), monkeypatch)
    with pytest.raises(UsageError, match="the core's data are little-endian, those of riscv are big-endian") as caught:
        open_snapshot(path)
    assert "entry_byte_order" in caught.value.rule
    assert "install a plugin for such a kernel" in caught.value.hint
