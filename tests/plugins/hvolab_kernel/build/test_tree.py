# SPDX-License-Identifier: GPL-2.0-only
"""Trees and headers, as developers have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_kernel.build.toolchain import ARCHITECTURES
from hvolab_kernel.build.tree import headers_hint, open_tree
from tests.plugins.hvolab_kernel.build.small_trees import MACHINE, make_tree, small_kernel


def test_a_tree_that_is_built_in_place(tmp_path: Path) -> None:
    tree = open_tree(small_kernel(), make_tree(tmp_path / "linux"))
    assert tree.objects == tree.source == tmp_path / "linux"
    assert (tree.private, tree.release) == (tmp_path / "linux/mm", "6.12.1")
    assert tree.make() == ["make", "-C", str(tmp_path / "linux")]


def test_the_output_folder_of_a_build_names_its_source(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "linux")
    output = make_tree(tmp_path / "out")
    (output / "Makefile").write_text(f"# generated\nexport KBUILD_OUTPUT = .\ninclude {source}/Makefile\n")
    tree = open_tree(small_kernel(), output)
    assert (tree.objects, tree.source, tree.private) == (output, source, source / "mm")
    assert tree.make() == ["make", "-C", str(output), "-f", f"{source}/Makefile", f"KBUILD_OUTPUT={output}"]


def test_packages_are_found_where_they_were_unpacked_and_those_of_the_image_first(tmp_path: Path) -> None:
    sources = tmp_path / "usr/src"
    for release in ("6.12.99-made-up", "6.11.1", "6.13.1"):
        flavor = make_tree(sources / f"linux-headers-{release}-here", release=release)
        (flavor / "Makefile").write_text("include /usr/src/linux-headers-common/Makefile\n")
    make_tree(sources / "common").rename(sources / "linux-headers-common")
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/internal.h").touch()
    tree = open_tree(small_kernel(), tmp_path)
    assert tree.objects == sources / "linux-headers-6.12.99-made-up-here"
    assert tree.source == sources / "linux-headers-common"


def test_a_folder_that_is_not_prepared_is_refused_with_the_command(tmp_path: Path) -> None:
    (tmp_path / ".config").touch()
    with pytest.raises(UsageError, match="has no prepared configuration") as caught:
        open_tree(small_kernel("EM_AARCH64"), tmp_path)
    assert f"make -C {tmp_path} ARCH=arm64 olddefconfig modules_prepare" in caught.value.hint


def test_a_configuration_of_another_architecture_is_refused(tmp_path: Path) -> None:
    other = next(one for one in ARCHITECTURES if one != MACHINE)
    with pytest.raises(UsageError, match=r"the configuration is of .*, the image of"):
        open_tree(small_kernel(), make_tree(tmp_path / "linux", other))


def test_without_headers_the_error_has_the_commands_that_fetch_them() -> None:
    debian = "Linux version 6.12.1+deb-{} (a@b) (gcc-14 (Debian 14) 14) #1 SMP Debian 6.12.1-1"
    with pytest.raises(UsageError, match=r"there are no headers of 6\.12\.99") as caught:
        open_tree(small_kernel())
    assert "--tree DIR" in caught.value.hint
    hints = [headers_hint(small_kernel(each, banner=debian.format(each))) for each in ARCHITECTURES]
    native = list(ARCHITECTURES).index(MACHINE)
    assert "apt-get install linux-headers-6.12" in hints.pop(native)
    assert all("dpkg --add-architecture" in each and "apt-get download linux-headers-6.12" in each for each in hints)
