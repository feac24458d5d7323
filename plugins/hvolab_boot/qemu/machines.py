# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's machines, one for each architecture of kernels, and the options that select a paging mode."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hvolab.errors import UsageError


@dataclass(frozen=True)
class ModeOptions:
    """Options that make a kernel use one paging mode.

    cpu    properties of the CPU model
    boot   parameters of the kernel's command line
    needs  why a kernel may use another mode in spite of them, in a sentence without its end; empty: nothing is known
    """

    cpu: str = ""
    boot: str = ""
    needs: str = ""


NO_OPTIONS: Final = ModeOptions()


@dataclass(frozen=True)
class QemuMachine:
    """One of QEMU's machines.

    program  QEMU for its architecture
    package  Debian's package of it
    machine  name of the machine
    cpu      CPU model under emulation, with its properties
    console  boot parameter for the serial console
    image    bootable image in the tree of a build
    host     `uname -m` of computers on which KVM runs it
    modes    options of paging modes that CPU or command line select; in others the kernel's configuration decides
    """

    program: str
    package: str
    machine: str
    cpu: str
    console: str
    image: str
    host: str
    modes: Mapping[str, ModeOptions]


_SV57: Final = (
    "it needs QEMU 8.0, as older ones have Sv48 in the device tree as the CPU's mmu-type, which is a limit for kernels "
    "with set_satp_mode_from_fdt(), such as v7.2"
)
#: Machines by the ELF machine of a kernel.
MACHINES: Final[Mapping[str, QemuMachine]] = {
    "EM_X86_64": QemuMachine(
        "qemu-system-x86_64",
        "qemu-system-x86",
        "pc",
        "max",
        "console=ttyS0",
        "arch/x86/boot/bzImage",
        "x86_64",
        {"4-level": ModeOptions(cpu="la57=off"), "5-level": ModeOptions(cpu="la57=on")},
    ),
    "EM_AARCH64": QemuMachine(
        "qemu-system-aarch64",
        "qemu-system-arm",
        "virt,gic-version=max",  # version 2, the machine's, is for eight CPUs
        "max,pauth-impdef=on",
        "console=ttyAMA0",
        "arch/arm64/boot/Image",
        "aarch64",
        {},
    ),
    "EM_RISCV": QemuMachine(
        "qemu-system-riscv64",
        "qemu-system-misc",
        "virt",
        "rv64",
        "console=ttyS0",
        "arch/riscv/boot/Image",
        "riscv64",
        {"Sv39": ModeOptions(boot="no4lvl"), "Sv48": ModeOptions(boot="no5lvl"), "Sv57": ModeOptions(needs=_SV57)},
    ),
}
_KVM: Final = Path("/dev/kvm")


def machine_for(elf_machine: str) -> QemuMachine:
    """Return the machine for kernels of an ELF machine; raises UsageError where there is none, or no QEMU for it."""
    machine = MACHINES.get(elf_machine)
    if machine is None:
        raise UsageError(f"cannot boot kernels of {elf_machine}", hint=f"those that can: {', '.join(MACHINES)}")
    if shutil.which(machine.program) is None:
        raise UsageError(
            f"found no {machine.program}",
            where=f"PATH={os.environ.get('PATH', '')}",
            hint=f"install QEMU: apt-get install {machine.package}",
        )
    return machine


def has_kvm(machine: QemuMachine) -> bool:
    """Return whether this computer can run the machine's code itself."""
    return platform.machine() == machine.host and os.access(_KVM, os.R_OK | os.W_OK)
