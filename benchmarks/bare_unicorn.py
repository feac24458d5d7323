# SPDX-License-Identifier: GPL-2.0-only
"""Yardstick of emulated CPUs: bare unicorn that makes HVO's stores and copies, and faults and starts CPUs.

usage: python -m benchmarks.bare_unicorn FOLIOS     prints figures, one line of JSON

Optimize, per 2 MiB folio of x86_64: copy the head's vmemmap page to a new frame, store its eight entries, and an eighth
of the entries of a table. Three loops in the guest do this, started once each, with the MMU on, over the same memory as
hvolab's. A fresh CPU, and a fault that is read from the emulator's state, are timed for bare unicorn and for hvolab; a
fault that a handler in the guest records is timed for hvolab.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import time
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import unicorn
from unicorn import x86_const

from benchmarks import huge_machine
from hvolab.arch import PageFault
from hvolab.machine import Machine
from hvolab.release.gfp import GFP_KERNEL
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.guest.text import Routine

_FAULTS, _FRESH = 400, 20
_PAGE_WORDS, _TAILS, _TABLE = 512, 8, 512


class Bare:
    """An instance of unicorn over a machine's memory, set up by the shortest way."""

    def __init__(self, machine: Machine) -> None:
        self.uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self.uc.ctl_set_tcg_buffer_size(8 << 20)
        memory = machine.memory
        self.uc.mem_map_ptr(memory.base, memory.size, 7, memory.octets.ctypes.data)
        part = machine.target.architecture.emulation
        assert part is not None  # noqa: S101 - x86_64 has one
        for setting in part.registers(machine.target, machine.tables.root):
            if setting.name == "msr":
                self.uc.msr_write(*setting.at, setting.value)
            else:
                self.uc.reg_write(getattr(x86_const, f"UC_X86_REG_{setting.name}"), setting.value)
        self.clean = self.uc.context_save()
        self.context = self.uc.context_save()
        self.seen: tuple[int, int, int] = (0, 0, 0)
        self.uc.hook_add(unicorn.UC_HOOK_INTR, self._fault)

    def _fault(self, uc: Any, number: int, _: object) -> None:
        uc.context_update(self.context)
        state = bytes(self.context)
        self.seen = (number, len(state), uc.reg_read(x86_const.UC_X86_REG_CR2))
        uc.emu_stop()

    def run(self, cpu: EmulatedCpu, routine: Routine, *arguments: int) -> None:
        """Start one routine of an emulated CPU's text, with arguments in the same place."""
        block = cpu.vcpu.area.view(cpu.vcpu.area.block, 64)
        struct.pack_into("<8Q", block, 0, *arguments, *[0] * (8 - len(arguments)))
        self.uc.reg_write(x86_const.UC_X86_REG_R15, cpu.vcpu.area.block)
        self.uc.emu_start(routine.begin, cpu.vcpu.exit)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folios", type=int)
    folios: int = parser.parse_args().folios
    made = huge_machine.build(folios)
    machine = made.machine
    cpu = emulate(machine)[0]
    bare = Bare(machine)
    optimize, used = (seconds / folios * 1e6 for seconds in _optimize(made, cpu, bare))
    print(json.dumps({"optimize_us": optimize, "optimize_cpu_us": used, **_others(machine, cpu, bare)}))


def _optimize(made: huge_machine.HugeMachine, cpu: EmulatedCpu, bare: Bare) -> tuple[float, float]:
    """Run the three loops; return their seconds by the clock, and of CPU time."""
    machine, folios = made.machine, made.heads.size
    tables = -(-folios * _TAILS // _TABLE)
    frames = [machine.alloc_pages_run(count, GFP_KERNEL, 0) for count in (folios, tables)]
    words = 4 * folios + tables + folios * _TAILS + tables * _TABLE
    lists = machine.frames.allocate_contiguous((words * 8 >> 12) + 1, GFP_KERNEL, 0, 1)
    assert lists is not None  # noqa: S101 - a machine has room for a list
    buffer, at = machine.memory.word_view(lists << 12, words), machine.page_to_virt(lists)
    fresh, made_tables = (
        np.array([machine.page_to_virt(p) for p in each.tolist()], dtype=np.uint64) for each in frames
    )
    slots = np.repeat(made_tables, _TABLE // _TAILS)[:folios]
    slots = slots + (np.arange(folios, dtype=np.uint64) % np.uint64(_TABLE // _TAILS)) * np.uint64(_TAILS * 8)
    parts = [fresh, huge_machine.struct_pages_at(machine, made.heads), slots, made_tables]
    buffer[: sum(part.size for part in parts)] = np.concatenate(parts)
    to, source, rows, whole, entries = accumulate((at, *(part.nbytes for part in parts)))
    routines = cpu.vcpu.routines
    cpu_start, start = time.process_time(), time.perf_counter()
    bare.run(cpu, routines["write_entry_rows"], whole, entries, tables, _TABLE)
    bare.run(cpu, routines["copy_runs"], to, source, folios, _PAGE_WORDS)
    bare.run(cpu, routines["write_entry_rows"], rows, entries, folios, _TAILS)
    return time.perf_counter() - start, time.process_time() - cpu_start


def _others(machine: Machine, cpu: EmulatedCpu, bare: Bare) -> dict[str, float]:
    """Return median times of a fresh CPU and of a fault, bare and emulated."""
    nowhere = cpu.vcpu.area.text_va + 4 * cpu.vcpu.area.text_bytes
    load = cpu.vcpu.routines["load"]
    handled = EmulatedCpu(machine, 0, handler=True)

    def bare_fault() -> None:
        bare.run(cpu, load, nowhere)
        bare.uc.context_restore(bare.clean)

    def fault(faulting: EmulatedCpu) -> None:
        try:
            faulting.load_word(nowhere)
        except PageFault:
            return

    def first_load(make: Callable[[], Any]) -> None:
        made = make()
        if isinstance(made, Bare):
            made.run(cpu, load, cpu.vcpu.area.block)
        else:
            made.load_word(cpu.vcpu.area.block)

    return {
        "bare_fault_us": _median(bare_fault, _FAULTS) * 1e6,
        "fault_us": _median(lambda: fault(cpu), _FAULTS) * 1e6,
        "handled_us": _median(lambda: fault(handled), _FAULTS) * 1e6,
        "bare_fresh_ms": _median(lambda: first_load(lambda: Bare(machine)), _FRESH) * 1e3,
        "fresh_ms": _median(lambda: first_load(lambda: EmulatedCpu(machine, 0)), _FRESH) * 1e3,
    }


def _median(act: Callable[[], None], times: int) -> float:
    """Return the median of the seconds that ``act`` takes."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


if __name__ == "__main__":
    main()
