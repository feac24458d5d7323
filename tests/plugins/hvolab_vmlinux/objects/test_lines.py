# SPDX-License-Identifier: GPL-2.0-only
"""File and line of an object's instructions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hvolab_vmlinux.objects.elf_object import read_object
from hvolab_vmlinux.objects.lines import LineTable
from hvolab_vmlinux.objects.linker import link
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import MadeUpObject, MadeUpSection

_BASE = 0xFFFFFFFF84000000
_SOURCE = """int g(int);

int f(int a)
{
\treturn g(a) + 1;
}
"""


_PACKAGES = {
    "gcc": "gcc",
    "riscv64-linux-gnu-gcc": "gcc-riscv64-linux-gnu",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "clang": "clang",
}


@pytest.mark.parametrize("compiler", _PACKAGES)
@pytest.mark.parametrize("version", [4, 5])
def test_lines_are_those_of_the_source(compiler: str, version: int, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no compiler: apt-get install {_PACKAGES[compiler]}")
    (tmp_path / "mm").mkdir()
    source, target = tmp_path / "mm/made_up.c", tmp_path / "made_up.o"
    source.write_text(_SOURCE)
    options = ("-O1", f"-gdwarf-{version}", "-fno-pic", "-fno-pie", "-c")
    subprocess.run([compiler, *options, "-o", str(target), str(source)], check=True)
    linked = link(read_object(target), _BASE, lambda _: 0xFFFFFFFF81000000)
    lines = LineTable(linked)
    places = {lines.at(va) for va in range(_BASE, linked.code_end)}
    assert {f"mm/made_up.c:{line}" for line in (4, 5)} <= places
    assert lines.at(_BASE) == "mm/made_up.c:4"
    assert lines.at(linked.code_end) == lines.at(_BASE - 1) == ""


def test_an_object_without_debugging_information_has_no_lines() -> None:
    linked = link(MadeUpObject([MadeUpSection(".text", b"\xc3")]).object(), _BASE, lambda _: None)
    assert LineTable(linked).at(_BASE) == ""


def test_damaged_debugging_information_counts_as_none() -> None:
    made = MadeUpObject([MadeUpSection(".text", b"\xc3"), MadeUpSection(".debug_info", b"\x40\0\0\0\5", "none")])
    assert LineTable(link(made.object(), _BASE, lambda _: None)).at(_BASE) == ""
