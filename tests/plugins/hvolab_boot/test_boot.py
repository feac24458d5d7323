# SPDX-License-Identifier: GPL-2.0-only
"""What is booted, and what cannot be."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_boot.boot import BootRequest, _checks, _image_next_to, _kvm, _memory, boot_image
from hvolab_boot.qemu.machines import MACHINES
from hvolab_boot.running.plan import parse_plan
from hvolab_vmlinux.errors import KernelImageError
from tests.plugins.hvolab_boot.conftest import boot
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image

PLAN = parse_plan("2M=8, 2M=256, free", registry().architecture("x86_64").select())


def test_memory_is_a_margin_and_twice_what_the_plan_needs() -> None:
    assert _memory(None, PLAN) == 2 << 30
    assert _memory("600M", PLAN) == 600 << 20
    assert _memory(None, parse_plan("1G=1", registry().architecture("x86_64").select())) == 4 << 30


@pytest.mark.parametrize("given", ["512M", "1025K"])
def test_too_little_memory_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="512 MiB of huge pages"):
        _memory(given, PLAN)


def test_checks_of_freed_pages_are_a_parameter() -> None:
    assert [_checks(wanted) for wanted in (None, True, False)] == [
        "",
        "init_on_alloc=1 init_on_free=0",
        "init_on_alloc=0 init_on_free=0",
    ]


def test_kvm_is_only_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvolab_boot.boot.has_kvm", lambda _: False)
    assert not _kvm(None, MACHINES["EM_X86_64"])
    with pytest.raises(UsageError, match="with KVM"):
        _kvm("kvm", MACHINES["EM_X86_64"])
    monkeypatch.setattr("hvolab_boot.boot.has_kvm", lambda _: True)
    assert _kvm("kvm", MACHINES["EM_X86_64"])
    assert not _kvm("tcg", MACHINES["EM_X86_64"])


def test_without_qemu_its_package_is_named(bootable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError) as caught:
        boot_image(BootRequest(bootable, "free"))
    assert caught.value.hint == "install QEMU: apt-get install qemu-system-x86"


def test_the_image_of_a_vmlinux_is_that_of_its_build(tmp_path: Path) -> None:
    machine, vmlinux = MACHINES["EM_X86_64"], tmp_path / "vmlinux"
    image = tmp_path / "arch" / "x86" / "boot" / "bzImage"
    vmlinux.touch()
    with pytest.raises(UsageError, match="arch/x86/boot/bzImage next to this vmlinux does not exist") as caught:
        _image_next_to(vmlinux, machine)
    assert caught.value.hint == "build it: make bzImage"
    image.parent.mkdir(parents=True)
    image.touch()
    os.utime(image, (0, 0))
    with pytest.raises(UsageError, match="next to this vmlinux is older"):
        _image_next_to(vmlinux, machine)
    image.touch()
    assert _image_next_to(vmlinux, machine) == image


def test_a_vmlinux_is_not_read_but_the_image_next_to_it(tmp_path: Path) -> None:
    vmlinux, image = tmp_path / "vmlinux", tmp_path / "arch" / "x86" / "boot" / "bzImage"
    vmlinux.write_bytes(elf_image(MadeUp())[:64])
    image.parent.mkdir(parents=True)
    image.write_text("no kernel")
    with pytest.raises(KernelImageError, match=re.escape(str(image))):
        boot_image(BootRequest(vmlinux))


def test_a_folder_with_files_is_refused_before_anything_starts(bootable: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(UsageError, match="is not empty"):
        boot_image(BootRequest(bootable, "free", keep=tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("arm64_image", ["arm64-6.12-hvo", "arm64-6.12-hvo-16K"], indirect=True)
def test_arm64_kernels_boot_and_every_step_is_repeated(arm64_image: Path) -> None:
    _, report = boot(arm64_image)
    assert report["end"] == ""
    assert not any(one["unread"] or one["errors"] for one in report["stages"])
    assert [sum(one["optimized"].values()) for one in report["stages"]] == [0, 8, 0]
    assert {voice["verdict"] for pair in report["pairs"] for voice in pair["voices"]} == {"no differences"}


def test_a_plan_that_cannot_be_done_is_refused_before_anything_starts(bootable: Path) -> None:
    with pytest.raises(UsageError, match="cannot do 'poison 2M'"):
        boot_image(replace(BootRequest(bootable, "free"), do="poison 2M"))
