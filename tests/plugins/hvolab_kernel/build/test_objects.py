# SPDX-License-Identifier: GPL-2.0-only
"""Objects: compiled once for each content, with the names of the developer's file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hvolab.errors import UsageError
from hvolab_kernel.build import objects
from hvolab_kernel.build.objects import ObjectBuilder, _about, copy_object
from hvolab_kernel.build.toolchain import ARCHITECTURES, BuildError
from hvolab_kernel.build.tree import open_tree
from hvolab_vmlinux.open import open_kernel
from tests.kernel_headers import headers_command, headers_of
from tests.kernel_images import command_for, headers_directory, images_directory
from tests.plugins.hvolab_kernel.build.small_trees import make_tree, require_compiler, small_kernel


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    require_compiler()
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path / "cache"))
    return make_tree(tmp_path / "linux")


def builder(tree: Path) -> ObjectBuilder:
    kernel = small_kernel()
    return ObjectBuilder(kernel, open_tree(kernel, tree), "gcc")


def test_an_object_is_compiled_once_for_each_content_of_all_that_it_includes(tree: Path) -> None:
    source = tree / "mm/hugetlb_vmemmap.c"
    first, again = builder(tree).build(source), builder(tree).build(source)
    assert (first.cached, again.cached, again.path) == (False, True, first.path)
    assert b"mm/hugetlb_vmemmap.c\\0".replace(b"\\0", b"\0") in first.path.read_bytes()
    (tree / "mm/hugetlb_vmemmap.h").write_text("#define NEW 1\n")
    assert not builder(tree).build(source).cached
    source.write_text(source.read_text() + "int g(void) { return 0; }\n")
    changed = builder(tree).build(source)
    assert (changed.cached, changed.path == first.path) == (False, False)
    assert sorted(path.name for path in tree.iterdir()) == [".config", "Makefile", "include", "mm"]


def test_objects_that_were_used_last_are_kept(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_MAX_ENTRIES", 3)  # two objects, and the list of arguments
    source = tree / "mm/hugetlb_vmemmap.c"
    text = source.read_text()
    built = []
    for number in (0, 1, 0, 2):
        source.write_text(f"{text}int n{number};\n")
        built.append(builder(tree).build(source).path)
        for path in built[0].parent.parent.iterdir():  # as if all that was some time ago
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))
    assert [path.exists() for path in built] == [True, False, True, True]


def test_an_entry_that_another_process_renames_meanwhile_does_not_end_a_build(tree: Path) -> None:
    source = tree / "mm/hugetlb_vmemmap.c"
    cache = builder(tree).build(source).path.parent.parent
    (cache / "renamed").symlink_to(cache / "gone")  # listed, but not there
    source.write_text(source.read_text() + "int g(void) { return 0; }\n")
    built = builder(tree).build(source)
    assert not built.cached
    assert built.path.exists()


def test_an_object_that_another_process_builds_meanwhile_is_taken(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = shutil.rmtree

    def remove_and_build(folder: str | Path, **options: Any) -> None:
        remove(folder, **options)
        for partial in Path(folder).parent.glob(f"{Path(folder).name}.*"):
            shutil.copytree(partial, folder)

    monkeypatch.setattr(shutil, "rmtree", remove_and_build)
    built = builder(tree).build(tree / "mm/hugetlb_vmemmap.c")
    assert built.path.exists()
    assert not list(built.path.parent.parent.glob("*.[0-9]*"))


def test_a_file_outside_of_the_tree_includes_its_own_headers_first(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    source = tmp_path / "mine/hugetlb_vmemmap.c"
    source.write_text('#include "hugetlb_vmemmap.h"\n#include "internal.h"\nint v = MINE + INTERNAL;\n')
    source.with_suffix(".h").write_text("#define MINE 1\n")
    assert builder(tree).build(source).path.exists()


def test_messages_of_the_compiler_are_shown_as_they_are(tree: Path) -> None:
    source = tree / "mm/hugetlb_vmemmap.c"
    source.write_text("int f(void) { int unused; return NONE; }\n")
    with pytest.raises(BuildError, match=r"(?s)gcc cannot compile hugetlb_vmemmap.c:\n.*:1:.*error.*NONE"):
        builder(tree).build(source)
    source.write_text("#warning look here\n")
    for _ in range(2):
        assert "warning: #warning look here" in builder(tree).build(source).messages
    with pytest.raises(UsageError, match="cannot be read"):
        builder(tree).build(tree / "none.c")


def test_warnings_about_headers_are_left_out() -> None:
    text = """In file included from /x/a.c:1:
/x/h.h:3:1: warning: header
    3 | h
/x/a.c:5:1: warning: mine
    5 | a
/x/h.h:9:1: note: declared here
In file included from /x/a.c:2:
/x/h.h:3:1: warning: header"""
    kept = "/x/a.c:5:1: warning: mine\n    5 | a\n/x/h.h:9:1: note: declared here"
    assert _about(Path("/x/a.c"), text) == kept


def test_an_object_can_be_copied(tree: Path, tmp_path: Path) -> None:
    built = builder(tree).build(tree / "mm/hugetlb_vmemmap.c")
    copied = copy_object(built, tmp_path / "mine.o")
    assert copied.path.read_bytes() == built.path.read_bytes()
    with pytest.raises(UsageError, match="cannot be written"):
        copy_object(built, tmp_path / "none/mine.o")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x86_64-6.12", "riscv64-6.12", "x86_64-7.x"])
def test_the_file_of_an_image_is_compiled_with_its_headers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HVOLAB_CACHE_DIR", raising=False)
    image, headers = images_directory() / f"{name}.image", headers_of(name, headers_directory())
    if not image.exists() or headers is None:
        pytest.skip(f"there are no headers: {command_for(name)} --headers")
    kernel = open_kernel(image)
    tree = open_tree(kernel, headers.mm.parent)
    assert tree.release == kernel.image.release
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    try:
        built = ObjectBuilder(kernel, tree).build(headers.mm / "hugetlb_vmemmap.c")
    except UsageError as error:
        pytest.skip(f"apt-get install gcc-{ARCHITECTURES[kernel.image.machine].triple}: {error}")
    content = built.path.read_bytes()
    for part in (b"hugetlb_vmemmap_optimize_folio\0", b".debug_line\0", b".BTF\0"):
        assert part in content
    assert headers_command(name) == f"{command_for(name).replace(name, '--headers')} {name}"
