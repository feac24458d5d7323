# SPDX-License-Identifier: GPL-2.0-only
"""Opening of an image: from the file, from the cache, and without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmlinux import open as opening
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.open import open_kernel, vmlinux_machine
from tests.plugins.hvolab_vmlinux.cached_kernels import same, steps
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image

pytestmark = pytest.mark.usefixtures("folder")


def test_the_second_opening_comes_from_the_cache_and_is_the_same(image: Path) -> None:
    first, second = open_kernel(image), open_kernel(image)
    assert "store" in steps(first)
    assert "cache" in steps(second)
    assert same(first, second)
    assert not second.image.segments[0].content.flags.writeable


def test_without_the_cache_nothing_is_written(image: Path, folder: Path) -> None:
    assert "cache" not in steps(open_kernel(image, use_cache=False))
    assert not folder.exists()


def test_another_file_has_another_entry(image: Path) -> None:
    first = open_kernel(image)
    image.write_bytes(image.read_bytes() + b"\0")
    assert open_kernel(image).image.digest != first.image.digest


def test_where_nothing_can_be_written_the_image_is_read_all_the_same(image: Path, folder: Path) -> None:
    folder.write_text("this is no folder")
    found = open_kernel(image)
    assert any(one.startswith("not cached: ") for one in steps(found))
    assert same(found, open_kernel(image, use_cache=False))


def test_a_file_beyond_the_limit_is_refused(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LARGEST_FILE", image.stat().st_size - 1)
    with pytest.raises(KernelImageError, match=r"the file has \d+ bytes.*hint: remove its debugging information"):
        open_kernel(image)


def test_the_machine_of_a_vmlinux_is_read_from_its_header_alone(tmp_path: Path) -> None:
    vmlinux = tmp_path / "vmlinux"
    header = elf_image(MadeUp())[:64]
    vmlinux.write_bytes(header)
    assert vmlinux_machine(vmlinux) == "EM_X86_64"
    vmlinux.write_bytes(b"MZ" + header)
    assert vmlinux_machine(vmlinux) is None
    vmlinux.write_bytes(header[:63])
    with pytest.raises(KernelImageError, match="the ELF header is not within the 63 bytes"):
        vmlinux_machine(vmlinux)
    vmlinux.write_bytes(header[:16] + b"\1" + header[17:])  # relocatable
    with pytest.raises(KernelImageError, match="name a vmlinux, not a module"):
        vmlinux_machine(vmlinux)
