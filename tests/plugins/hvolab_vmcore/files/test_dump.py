# SPDX-License-Identifier: GPL-2.0-only
"""The interface of dumps: notes with VMCOREINFO."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.files.content import open_content
from hvolab_vmcore.files.dump import DumpInput, vmcoreinfo_of
from hvolab_vmcore.files.elf import CoreNote

TEXT = b"OSRELEASE=6.12.0\nPAGESIZE=4096\n"


def test_the_first_of_several_files_names_the_dump(tmp_path: Path) -> None:
    paths = tmp_path / "a", tmp_path / "b"
    paths[0].write_bytes(b"1234")
    assert DumpInput(paths, (open_content(paths[0]),)).path == paths[0]


def test_a_note_that_is_there_twice_counts_once_and_of_two_that_differ_the_one_with_most_numbers() -> None:
    note = CoreNote("VMCOREINFO", 0, TEXT)
    other = CoreNote("VMCOREINFO", 0, TEXT + b"A=1\n")
    found, warnings = vmcoreinfo_of((CoreNote("CORE", 1, b"x"), note, note), Path("a.core"))
    assert found is not None
    assert (found.osrelease, warnings) == ("6.12.0", ())
    assert vmcoreinfo_of((), Path("a.core")) == (None, ())
    found, (text,) = vmcoreinfo_of((other, note), Path("a.core"))
    assert found is not None
    assert found.raw["A"] == "1"
    assert text == "there are 2 VMCOREINFO notes that differ: the one with the most numbers is used"
    short = CoreNote("VMCOREINFO", 0, b"OSRELEASE=1\nPAGESIZE=4096\n")
    longer = CoreNote("VMCOREINFO", 0, TEXT + b"SIZE(page)=64\n")
    found, _ = vmcoreinfo_of((short, longer), Path("a.core"))
    assert found is not None
    assert found.size("page") == 64
    found, warnings = vmcoreinfo_of((CoreNote("VMCOREINFO", 0, b"A=1\n"), note), Path("a.core"))
    assert found is not None
    assert warnings[0] == "VMCOREINFO cannot be used: the text has no PAGESIZE"
