# SPDX-License-Identifier: GPL-2.0-only
"""Opening of a dump by the reader that knows its format."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.torture.dump_writers import flatten
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M
from tests.plugins.hvolab_vmcore.written_cores import GOOD


def test_a_core_is_opened_by_its_reader() -> None:
    dump = open_dump(OPTIMIZED_2M)
    assert (dump.format, dump.machine, dump.byte_order) == ("ELF core", "EM_X86_64", "little")


def test_a_file_of_no_known_format_is_refused_with_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "a.core"
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(CoreFileError, match="begins with 67 61 72 62") as caught:
        open_dump(path)
    assert "ELF core" in caught.value.rule


@pytest.mark.parametrize(
    ("start", "name", "advice"),
    [
        (b"DISKDUMP", "a dump of diskdump", "name a memory dump"),
        (b"QEVM\0\0\0\3", "a saved state of QEMU's migration", "-incoming"),
        (b"LibvirtQemudSave", "a saved domain of libvirt", "dump --memory-only"),
        (b"\xd2\xbe\xd2\xbe", "a saved state of VMware", ".vmem"),
        (b"PAGEDUMP", "a dump of Windows", "name a memory dump"),
        (b"\xfd7zXZ\0", "a file that was compressed twice", "unpack it"),
        (b"BZh91AY", "a file that was compressed twice", "unpack it"),
        (b"PK\3\4", "a zip archive", "zipfile -e"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
        (b"vmcore".ljust(257, b"\0") + b"ustar\0", "an archive of tar", "tar -xf"),
        (b"QFI\xfb", "the image of a disk", "name a memory dump"),
        (b"MZ\x90\0", "a kernel image", "hvolab image"),
    ],
)
def test_other_files_are_named_with_what_to_do(start: bytes, name: str, advice: str, tmp_path: Path) -> None:
    path = tmp_path / "a.core"
    path.write_bytes(gzip.compress(start + bytes(1000)))
    with pytest.raises(CoreFileError, match=f"this is {name}") as caught:
        open_dump(path)
    assert advice in caught.value.hint


def test_a_flattened_file_is_read_as_what_it_holds_and_its_warnings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.flat"
    path.write_bytes(flatten(GOOD, [77, 300]))
    dump = open_dump(path)
    assert (dump.format, dump.ranges, dump.warnings) == ("ELF core", ((0x1000, 0x2000), (0x5000, 0x6000)), ())
    assert dump.frames(12).read(np.array([5]), 4096).tobytes() == b"\xab" * 4096
    path.write_bytes(flatten(GOOD, [77, 300])[:-16])
    assert open_dump(path).warnings == ("the flattened file is cut short: its end mark is missing",)


def test_flattened_files_inside_of_each_other_are_read_and_many_are_named(tmp_path: Path) -> None:
    path, content = tmp_path / "a.flat", GOOD
    for _ in range(3):
        content = flatten(content, [77, 300])
        path.write_bytes(content)
        dump = open_dump(path)
        assert (dump.format, dump.warnings) == ("ELF core", ())
        assert dump.frames(12).read(np.array([5]), 4096).tobytes() == b"\xab" * 4096
    path.write_bytes(content[:-16])  # the mark of the outermost
    assert open_dump(path).warnings == ("the flattened file is cut short: its end mark is missing",)
    path.write_bytes(flatten(content))
    with pytest.raises(CoreFileError, match="this is a flattened file inside of several others") as caught:
        open_dump(path)
    assert "makedumpfile -R" in caught.value.hint


def test_a_format_of_one_file_refuses_more(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(GOOD)
    with pytest.raises(CoreFileError, match="a dump of format ELF core has one file"):
        open_dump(tmp_path / "a", tmp_path / "b")
