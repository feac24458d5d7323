# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel's image has and a dump lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_vmcore.core.image_info import build_id
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from hvolab_vmlinux.kernel import Kernel
from tests.kernel_images import images_directory
from tests.plugins.hvolab_vmcore.changed_cores import made, with_text
from tests.plugins.hvolab_vmcore.core.test_cpu_state import note
from tests.plugins.hvolab_vmcore.kernel_cores import MADE

IMAGES = ("x86_64-6.1", "x86_64-6.12", "x86_64-7.x")
Stripped = Callable[[str, tuple[CoreNote, ...]], Path]


@pytest.fixture
def stripped(tmp_path: Path) -> Stripped:
    """Write the memory of a made core with other notes."""

    def write(name: str, notes: tuple[CoreNote, ...]) -> Path:
        core = open_core(made(MADE[name], "2-eight-2M"))
        memory = [Memory(one.physical, core.data(one).tobytes(), one.size) for one in core.segments]
        path = tmp_path / f"{name}.core"
        path.write_bytes(write_core(memory, notes))
        return path

    return write


@pytest.mark.parametrize("real_kernel", IMAGES, indirect=True)
def test_an_image_has_the_layout_that_vmcoreinfo_would_have(
    real_kernel: Kernel, stripped: Stripped, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["real_kernel"]
    image = images_directory() / f"{name}.image"
    whole = open_scan(made(MADE[name], "2-eight-2M"))
    root = whole.snapshot.tables.root
    options = SnapshotOptions(image=image, vmemmap=whole.snapshot.vmemmap)
    found = open_scan(stripped(name, (note(root),)), options)
    assert found.snapshot.kernel == real_kernel.image.release
    assert found.snapshot.struct_pages.layout == whole.snapshot.struct_pages.layout
    assert found.snapshot.target.release == whole.snapshot.target.release
    assert [huge.pfns.tolist() for huge in found.huge_pages] == [huge.pfns.tolist() for huge in whole.huge_pages]
    assert any(text.startswith("from the image: ") for text in found.snapshot.core.warnings)


@pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)
def test_a_dump_and_an_image_of_different_builds_are_named_with_both_releases(
    real_kernel: Kernel, tmp_path: Path
) -> None:
    options = SnapshotOptions(image=images_directory() / "x86_64-6.12.image")
    with pytest.raises(UsageError, match=r"kernel 6\.1\.0-.*; the image is of 6\.12\.") as caught:
        open_snapshot(made("x86_64-6.1", "0-boot"), options)
    assert "one build" in caught.value.rule
    assert len(build_id(real_kernel)) == 40
    zeros = b"BUILD-ID=" + b"00" * 20
    ours = with_text(made("x86_64-6.12.117", "0-boot"), zeros, b"BUILD-ID=" + b"12" * 20, tmp_path / "a.core")
    with pytest.raises(UsageError, match=f"12121212; the image is of .*{build_id(real_kernel)}"):
        open_snapshot(ours, options)
    with pytest.raises(UsageError, match=r"EM_RISCV.*; the image is of .*EM_X86_64"):
        open_snapshot(made("riscv64-6.12.117", "0-boot"), options)


@pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)
def test_what_the_dump_says_comes_first(real_kernel: Kernel, tmp_path: Path) -> None:
    del real_kernel
    core = made("x86_64-6.12.117", "3-one-1G")
    zeros = b"BUILD-ID=" + b"00" * 20
    core = with_text(core, zeros, b"BUILD-IX=" + b"00" * 20, tmp_path / "a.core")
    info = open_snapshot(core, SnapshotOptions(image=images_directory() / "x86_64-6.12.image")).core.vmcoreinfo
    plain = open_snapshot(core).core.vmcoreinfo
    assert info is not None
    assert plain is not None
    assert plain.values.items() <= info.values.items()
