# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab build` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hvolab_kernel.build.small_trees import MACHINE, make_tree, require_compiler
from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab
from tests.plugins.hvolab_vmlinux.made_up_kernels import RELEASE, MadeUp, elf_image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_image(MadeUp(machine=MACHINE)))
    return path


def test_build_prints_the_object_and_the_next_command(image: Path, tmp_path: Path) -> None:
    require_compiler()
    tree = make_tree(tmp_path / "linux", flags="-fof-the-future")
    source, wanted = tree / "mm/hugetlb_vmemmap.c", tmp_path / "mine.o"
    result = hvolab("build", image, source, "--tree", tree, "--cc", "gcc", "-o", wanted)
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert f"object{wanted}" in "".join(result.stdout.split())  # a long path is wrapped
    assert "-fof-the-future (unknown to this compiler)" in shown
    assert f"the image is {RELEASE}: structs may differ" in shown
    assert wanted.read_bytes()[:4] == b"\x7fELF"
    data = as_json("build", image, source, "--headers", tree, "--cc", "gcc")
    assert (data["cached"], data["left_out"], data["headers_release"]) == (True, ["-fof-the-future"], "6.12.1")


def test_a_file_that_cannot_be_compiled_ends_with_2_and_the_messages(image: Path, tmp_path: Path) -> None:
    require_compiler()
    tree = make_tree(tmp_path / "linux")
    (tree / "mm/hugetlb_vmemmap.c").write_text("int f(void) { return NONE; }\n")
    result = hvolab("build", image, tree / "mm/hugetlb_vmemmap.c", "--tree", tree, "--cc", "gcc")
    assert result.exit_code == 2
    assert "error[build]: gcc cannot compile hugetlb_vmemmap.c:" in result.stderr
    assert "NONE" in result.stderr


def test_without_headers_the_commands_are_named(image: Path, tmp_path: Path) -> None:
    result = hvolab("build", image, tmp_path / "hugetlb_vmemmap.c")
    assert result.exit_code == 2
    assert "hint: name the tree that it was built in: --tree DIR" in result.stderr
