# SPDX-License-Identifier: GPL-2.0-only
"""A boot from image to report: everything is made, run and judged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hvolab.errors import UsageError
from hvolab.files import empty_folder
from hvolab.units import parse_size
from hvolab_boot.guest.console import DEFAULT_PATIENCE, Patience
from hvolab_boot.guest.initramfs import initramfs_for
from hvolab_boot.judging.judge import judge
from hvolab_boot.judging.result import BootReport
from hvolab_boot.qemu.machines import NO_OPTIONS, QemuMachine, has_kvm, machine_for
from hvolab_boot.qemu.monitor import QemuError
from hvolab_boot.running.plan import Plan, default_plan, parse_plan
from hvolab_boot.running.session import BootSpec, run_session
from hvolab_kernel.comparison.selection import target_of
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel, vmlinux_machine

#: Memory of a guest in addition to what its plan needs, which is counted twice: it may be in pieces. It is at least two
#: of the largest huge page: the kernel's own data are at both ends of RAM.
_MARGIN: Final = 1 << 30
_MIB: Final = 1 << 20


@dataclass(frozen=True)
class BootRequest:
    """Options of a boot; None: the default of the image or of its machine.

    image        kernel image: bzImage, Image, EFI zboot; or the vmlinux of a build, next to which the image is
    do           operations; None: eight huge pages of the smallest size that HVO optimizes are made and freed
    mode         paging mode
    memory       size of RAM, as 4G
    cpus         number of CPUs
    cpu          CPU model of QEMU, with properties
    boot         parameters of the kernel's command line
    check_pages  whether struct pages that are freed are checked; None: as the kernel is configured
    accel        `kvm`, `tcg`, or None: KVM where it is there
    cc           compiler of the guest's program
    patience     how long the guest may print nothing
    keep         folder for the cores of all stages and the report; new, or empty
    stress       seconds for which the pool is changed after the plan, while others read and compact
    """

    image: Path
    do: str | None = None
    mode: str | None = None
    memory: str | None = None
    cpus: int = 1
    cpu: str | None = None
    boot: str = ""
    check_pages: bool | None = None
    accel: str | None = None
    cc: str | None = None
    patience: Patience = DEFAULT_PATIENCE
    keep: Path | None = None
    stress: int = 0


def boot_image(request: BootRequest, on_step: Callable[[str], None] = lambda _: None) -> BootReport:
    """Boot a kernel, do the plan, judge each stage, and return the report.

    Raises UsageError for what cannot be done, KernelImageError for an image that cannot be read, QemuError.
    """
    on_step("reading the image")
    vmlinux = vmlinux_machine(request.image)
    image = request.image if vmlinux is None else _image_next_to(request.image, machine_for(vmlinux))
    kernel = open_kernel(image)
    machine = machine_for(kernel.image.machine)
    target = target_of(kernel, request.mode)
    plan = parse_plan(request.do or default_plan(target), target)
    spec = BootSpec(
        image=image,
        initramfs=initramfs_for(kernel, request.cc),
        machine=machine,
        plan=plan,
        mode=machine.modes.get(target.mode.name, NO_OPTIONS),
        requested=request.mode and target.mode.name,
        keep=request.keep and empty_folder(request.keep),
        stress=request.stress,
        memory=_memory(request.memory, plan),
        cpus=request.cpus,
        cpu=request.cpu,
        boot=" ".join(filter(None, (_checks(request.check_pages), request.boot))),
        kvm=_kvm(request.accel, machine),
        patience=request.patience,
    )
    try:
        return _run(spec, kernel, on_step)
    except QemuError:
        if not spec.kvm or request.accel is not None:
            raise
    # KVM may be there and lack what QEMU needs, as inside another virtual machine
    return _run(replace(spec, kvm=False), kernel, on_step)


def _run(spec: BootSpec, kernel: Kernel, on_step: Callable[[str], None]) -> BootReport:
    """Boot and judge."""
    with tempfile.TemporaryDirectory(prefix="hvolab-boot-") as folder:
        session = run_session(spec, Path(folder), on_step)
        return judge(session, spec, kernel, on_step)


def _image_next_to(vmlinux: Path, machine: QemuMachine) -> Path:
    """Return the bootable image of the build that made a vmlinux; raises UsageError where it is not there or older."""
    image = vmlinux.parent / machine.image
    if not image.exists() or image.stat().st_mtime < vmlinux.stat().st_mtime:
        raise UsageError(
            f"{machine.image} next to this vmlinux {'is older' if image.exists() else 'does not exist'}",
            where=str(vmlinux),
            rule="QEMU boots an image with a header for the boot loader, which a build makes of its vmlinux",
            hint=f"build it: make {image.name}",
        )
    return image


def _memory(given: str | None, plan: Plan) -> int:
    """Return the bytes of RAM; raises UsageError for less than the plan's huge pages."""
    if given is None:
        return max(_MARGIN, 2 * plan.largest) + 2 * plan.needed
    size = parse_size(given)
    if size <= plan.needed or size % _MIB:
        raise UsageError(
            f"{given} of memory are too few for {plan.needed >> 20} MiB of huge pages, or no multiple of 1 MiB",
            hint="give more with --memory",
        )
    return size


def _checks(wanted: bool | None) -> str:  # noqa: FBT001 - the option's own value
    """Return the boot parameters that switch the checks of freed struct pages. Kernel: check_pages_enabled, v6.12."""
    return "" if wanted is None else f"init_on_alloc={int(wanted)} init_on_free=0"


def _kvm(accel: str | None, machine: QemuMachine) -> bool:
    """Return whether KVM runs the guest; raises UsageError where it is wanted and is not there."""
    if accel == "kvm" and not has_kvm(machine):
        raise UsageError(
            "this computer cannot run the guest with KVM",
            where="/dev/kvm",
            rule=f"KVM runs guests of this kind on {machine.host}, for users who may open /dev/kvm",
            hint="use --accel tcg, or add yourself to the group kvm",
        )
    return accel != "tcg" and has_kvm(machine)
