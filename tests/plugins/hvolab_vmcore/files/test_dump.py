# SPDX-License-Identifier: GPL-2.0-only
"""The interface of dumps: notes with VMCOREINFO."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.content import open_content
from hvolab_vmcore.files.dump import DumpInput, vmcoreinfo_of
from hvolab_vmcore.files.elf import CoreNote

TEXT = b"OSRELEASE=6.12.0\nPAGESIZE=4096\n"


def test_the_first_of_several_files_names_the_dump(tmp_path: Path) -> None:
    paths = tmp_path / "a", tmp_path / "b"
    paths[0].write_bytes(b"1234")
    assert DumpInput(paths, (open_content(paths[0]),)).path == paths[0]


def test_a_note_that_is_there_twice_counts_once_and_two_that_differ_are_refused() -> None:
    note = CoreNote("VMCOREINFO", 0, TEXT)
    other = CoreNote("VMCOREINFO", 0, TEXT + b"A=1\n")
    found = vmcoreinfo_of((CoreNote("CORE", 1, b"x"), note, note), Path("a.core"))
    assert found is not None
    assert found.osrelease == "6.12.0"
    assert vmcoreinfo_of((), Path("a.core")) is None
    with pytest.raises(CoreFileError, match="2 VMCOREINFO notes that differ"):
        vmcoreinfo_of((note, other), Path("a.core"))
