# SPDX-License-Identifier: GPL-2.0-only
"""CPUs of a loaded kernel: each has a stack, per-CPU data and a current task of its own.

The first one uses what the image has: its per-CPU data, and init_task. The others have copies in a region of their own.
Kernel: setup_per_cpu_areas() in arch/x86/kernel/setup_percpu.c and mm/percpu.c, idle_init() in kernel/smpboot.c, v6.12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hvolab.arithmetic import WORD_BYTES, round_up
from hvolab_vmlinux.kernel import Kernel

#: Bytes of a stack, and alignment of the parts of a CPU.
STACK: Final = 64 << 10
_PAGE: Final = 4096
_TASK: Final = "init_task"
#: Kernel: the array of offsets from per-CPU symbols to each CPU's data, in mm/percpu.c, v6.12.
_OFFSETS: Final = "__per_cpu_offset"
#: Words of per-CPU data by what they hold: symbol, struct, member and bytes. A kernel has some of them.
#: Kernel: struct pcpu_hot in arch/x86/include/asm/current.h, v6.12; arch/x86/include/asm/smp.h, percpu.h, v6.1, v7.2.
_NUMBERS: Final = (("pcpu_hot", "pcpu_hot", "cpu_number", 4), ("cpu_number", "", "", 4))
_TASKS: Final = (("pcpu_hot", "pcpu_hot", "current_task", 8), ("current_task", "", "", 8))
_OWN_OFFSETS: Final = (("this_cpu_off", "", "", 8),)
#: Kernel: struct thread_info in the task, with its CPU, v6.12.
_CPU_OF_TASK: Final = ("task_struct", "thread_info.cpu", 4)


@dataclass(frozen=True)
class Region:
    """A range of the kernel's memory: first VA and PA, and bytes."""

    va: int
    pa: int
    size: int

    @property
    def end(self) -> int:
        """First VA after it."""
        return self.va + self.size

    def part(self, start: int, size: int) -> Region:
        """Return the part of ``size`` bytes that begins ``start`` bytes after its begin."""
        return Region(self.va + start, self.pa + start, size)


@dataclass(frozen=True)
class Processor:
    """One CPU of a loaded kernel.

    number  its number
    stack   its stack
    data    its per-CPU data; empty: the image has none
    offset  bytes from a per-CPU symbol to this CPU's data
    task    VA of its current task
    """

    number: int
    stack: Region
    data: Region
    offset: int
    task: int


def per_cpu_range(kernel: Kernel) -> tuple[int, int]:
    """Return first VA and bytes of the per-CPU data that an image has; 0 bytes: none."""
    segment = next((one for one in kernel.image.segments if one.per_cpu), None)
    if segment is not None:
        return segment.va, segment.memory_size
    start, end = map(kernel.symbols.find, ("__per_cpu_start", "__per_cpu_end"))
    return (start, end - start) if start is not None and end is not None else (0, 0)


def bytes_of_others(kernel: Kernel, cpus: int) -> int:
    """Return the bytes of the region of all CPUs but the first."""
    return sum(_sizes(kernel)) * (cpus - 1) if cpus > 1 else 0


def _sizes(kernel: Kernel) -> tuple[int, int, int]:
    """Return the bytes of stack, per-CPU data and task of one CPU."""
    return STACK, round_up(per_cpu_range(kernel)[1], _PAGE), round_up(kernel.types.size("task_struct"), _PAGE)


def processors_of(kernel: Kernel, first: Processor, others: Region) -> tuple[Processor, ...]:
    """Return the CPUs, the first one and those that the region has room for."""
    if not others.size:
        return (first,)
    found = [first]
    stack, data, task = _sizes(kernel)
    start, whole = per_cpu_range(kernel)[0], stack + data + task
    for number in range(1, 1 + others.size // whole):
        area = others.part((number - 1) * whole, whole)
        own = area.part(stack, data)
        found.append(Processor(number, area.part(0, stack), own, own.va - start, own.end))
    return tuple(found)


def task_of(kernel: Kernel) -> int:
    """Return the VA of the task that the first CPU runs; 0: the kernel does not name it."""
    return kernel.symbols.find(_TASK) or 0


def words_of(kernel: Kernel, processor: Processor) -> Iterator[tuple[int, int, int]]:
    """Yield VA, bytes and value of each word that differs between CPUs, for one that is not the first."""
    for words, value in (
        (_NUMBERS, processor.number),
        (_TASKS, processor.task),
        (_OWN_OFFSETS, processor.offset),
    ):
        for symbol, struct, member, size in words:
            va = kernel.symbols.find(symbol)
            if va is not None and (not struct or kernel.types.has_member(struct, member)):
                yield va + processor.offset + (kernel.types.offset(struct, member) if struct else 0), size, value
    offsets = kernel.symbols.find(_OFFSETS)
    if offsets is not None:
        yield offsets + WORD_BYTES * processor.number, WORD_BYTES, processor.offset
    struct, member, size = _CPU_OF_TASK
    if kernel.types.has_member(struct, member):
        yield processor.task + kernel.types.offset(struct, member), size, processor.number
