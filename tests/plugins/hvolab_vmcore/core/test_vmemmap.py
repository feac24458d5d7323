# SPDX-License-Identifier: GPL-2.0-only
"""Location of the vmemmap in cores whose VMCOREINFO names it, and in those whose VMCOREINFO does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.machine import PageTables
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.core.vmemmap import vmemmap_of
from hvolab_vmcore.files.elfcore import open_core
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, VMEMMAP, changed, made, plain, with_text

OLD = made("x86_64-6.1", "3-one-1G")
SYMBOL = b"SYMBOL(vmemmap)=ffffea0000000000"
#: VAs in the vmemmap, which the captured core holds: of an array of roots, and of a section.
ROOTS, SECTION = 0xFFFFEA0000170040, 0xFFFFEA0000170080


def unnamed(core: Path, to: Path, *texts: tuple[bytes, bytes]) -> Path:
    """Write a copy of a core whose VMCOREINFO does not name the vmemmap, with other parts of its text replaced."""
    content = plain(core).replace(SYMBOL, b"SYMBOL(vmemmaq)=ffffea0000000000")
    for old, new in texts:
        assert len(old) == len(new)
        assert old in content
        content = content.replace(old, new)
    to.write_bytes(content)
    return to


def located(core: Path) -> int | None:
    file = open_core(core)
    found = open_snapshot(core).tables
    return vmemmap_of(file, found)


def test_vmcoreinfo_names_it() -> None:
    assert located(made("riscv64-7.2", "0-boot")) == 0xFFFF8D7FFE000000


def test_a_kernel_that_does_not_name_it_has_it_where_the_paging_mode_declares_it() -> None:
    info = open_core(OLD).vmcoreinfo
    assert info is not None
    assert info.symbol("vmemmap") is None
    assert located(OLD) == VMEMMAP


def test_the_map_of_a_section_has_it(tmp_path: Path) -> None:
    # root 0 is absent, root 1 points to a section, whose map has flags in its low bits
    tables = open_snapshot(OPTIMIZED_2M).tables
    frame = tables.frame_of(ROOTS)
    assert frame is not None
    base = frame << 12
    words = {base + 0x40: 0, base + 0x48: SECTION, base + 0x80: 0xFFFFEA4000000000 | 0xF}
    core = changed(OPTIMIZED_2M, words, tmp_path / "sections.core")
    old = b"SYMBOL(mem_section)=ffff8880bfe58680"
    core.write_bytes(core.read_bytes().replace(SYMBOL, b"SYMBOL(vmemmaq)=ffffea0000000000"))
    core.write_bytes(core.read_bytes().replace(old, b"SYMBOL(mem_section)=%x" % ROOTS))
    assert vmemmap_of(open_core(core), tables_of(core)) == 0xFFFFEA4000000000


def tables_of(core: Path) -> PageTables:
    """Return the page tables of a core that is opened with the VA of its vmemmap."""
    return open_snapshot(core, SnapshotOptions(vmemmap=VMEMMAP)).tables


def test_sections_that_the_core_does_not_hold_are_no_source(tmp_path: Path) -> None:
    assert located(unnamed(OPTIMIZED_2M, tmp_path / "a.core")) == VMEMMAP


def test_where_nothing_is_mapped_there_an_option_is_needed(tmp_path: Path) -> None:
    tables = open_snapshot(OLD).tables
    top = tables.target.mode.levels[0]
    slot = tables.root + top.index(VMEMMAP) * top.entry_bytes
    with pytest.raises(UsageError, match="cannot determine the VA of the vmemmap"):
        open_snapshot(changed(OLD, {slot: 0}, tmp_path / "changed.core"))


def test_a_mode_whose_vmemmap_depends_on_ram_needs_the_symbol(tmp_path: Path) -> None:
    core = with_text(made("riscv64-7.2", "0-boot"), b"SYMBOL(vmemmap)", b"SYMBOL(vmemmaq)", tmp_path / "changed.core")
    with pytest.raises(UsageError, match="cannot determine the VA of the vmemmap"):
        open_snapshot(core)


def test_without_vmcoreinfo_it_is_where_the_mode_declares_it() -> None:
    file = open_core(OLD)
    tables = open_snapshot(OLD).tables
    assert vmemmap_of(replace(file, vmcoreinfo=None), tables) == tables.target.mode.vmemmap_base
