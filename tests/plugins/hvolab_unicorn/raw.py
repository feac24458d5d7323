# SPDX-License-Identifier: GPL-2.0-only
"""Faults of emulated CPUs without the restoration that follows them, and VAs that nothing maps."""

from __future__ import annotations

from typing import Any

from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from tests.plugins.hvolab_unicorn.twins import lab

MODES = {"x86_64": "x86_64-4-level", "arm64": "arm64-4K-48bit", "riscv": "riscv-Sv48"}


def cpu_of(architecture: str, **choice: Any) -> EmulatedCpu:
    return lab(architecture, **choice).cpu


def unmapped(cpu: EmulatedCpu) -> int:
    return cpu.vcpu.area.text_va + 40 * cpu.vcpu.target.mode.page_size


def raw_fault(vcpu: VirtualCpu, va: int) -> int | None:
    """The number of the exception of a load at ``va``, with nothing restored afterwards; None where none is seen."""
    vcpu.exceptions.clear()
    routine = vcpu.routines["load"]
    vcpu.area.put_word(vcpu.area.block, va)
    vcpu.uc.emu_start(routine.begin, vcpu.exit)
    return vcpu.exceptions.number
