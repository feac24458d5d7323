# SPDX-License-Identifier: GPL-2.0-only
"""Objects of kernels' own mm/hugetlb_vmemmap.c, unedited or with small substitutions, compiled for tests."""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from hvolab_kernel.build.objects import ObjectBuilder
from hvolab_kernel.build.tree import open_tree
from hvolab_kernel.objects.link import LinkedHvo, link_object
from hvolab_vmlinux.kernel import Kernel
from tests.kernel_headers import headers_command, headers_of
from tests.kernel_images import headers_directory, images_directory
from tests.plugins.conftest import opened

#: The images whose objects tests compile, and the compilers that Debian has for each.
COMPILERS = {"EM_X86_64": "gcc", "EM_RISCV": "riscv64-linux-gnu-gcc"}
_PACKAGES = {"riscv64-linux-gnu-gcc": "gcc-riscv64-linux-gnu", "clang-19": "clang-19"}


def kernel_of(name: str) -> Kernel:
    """Return the kernel of the image of that name; skips where it was not fetched."""
    path = images_directory() / f"{name}.image"
    if not path.exists():
        pytest.skip(f"there is no image: {headers_command(name)}")
    return opened(path)


def object_of(name: str, changes: Mapping[str, str] | None = None, cc: str | None = None) -> Path:
    """Compile the file of an image, with texts replaced; skips without headers or compiler.

    Each text has to be in the file once, so that an edit of another release's file is noticed.
    """
    kernel = kernel_of(name)
    headers = headers_of(name, headers_directory())
    if headers is None:
        pytest.skip(f"there are no headers: {headers_command(name)}")
    compiler = cc or COMPILERS[kernel.image.machine]
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no compiler: apt-get install {_PACKAGES.get(compiler, compiler)}")
    source = headers.mm / "hugetlb_vmemmap.c"
    return ObjectBuilder(kernel, open_tree(kernel, headers.flavor), compiler).build(_edited(source, changes or {})).path


def _edited(source: Path, changes: Mapping[str, str]) -> Path:
    if not changes:
        return source
    text = source.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{text.count(old)} times in {source}: {old}"
        text = text.replace(old, new)
    # a path that depends on the content only: the object is kept by both
    folder = images_directory().with_name("edits") / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for header in source.parent.glob("*.h"):
        if header.name == "hugetlb_vmemmap.h":
            shutil.copy(header, folder)
    edited = folder / source.name
    edited.write_text(text)
    return edited


@functools.lru_cache(maxsize=8)
def _linked(name: str, path: Path) -> LinkedHvo:
    return link_object(kernel_of(name), path)


def linked_hvo(name: str, changes: Mapping[str, str] | None = None, cc: str | None = None) -> LinkedHvo:
    """Return an image with the object of its own file, edited or not, linked over it."""
    return _linked(name, object_of(name, changes, cc))
