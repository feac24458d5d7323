# SPDX-License-Identifier: GPL-2.0-only
"""Loader of a kernel image next to a machine: into memory of its own above RAM, mapped at its link address.

The machine's bytes do not change. The CPU that runs the kernel's code has a top table of its own in the new memory,
with the machine's entries for direct map and vmemmap and one more for the image, just as Linux's processes share the
kernel's tables below their own top tables. The tables that the kernel's code walks and changes, through init_mm, are
the machine's.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hvolab.arch import EntryKind, Level, LinearOrigin, PgprotRole
from hvolab.arithmetic import WORD_BYTES, div_round_up, round_up
from hvolab.errors import UsageError
from hvolab.machine import Machine, PageTables, PhysicalMemory
from hvolab_kernel.running.initial_state import Placement, initial_words, modes_of, node_words
from hvolab_kernel.running.processors import (
    STACK,
    Processor,
    Region,
    bytes_of_others,
    per_cpu_range,
    processors_of,
    task_of,
    words_of,
)
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel

#: Bytes of the kernel's structs that HVO is called with (hstates), and of page tables.
_DATA, _TABLES = 256 << 10, 2 << 20
#: Bytes of each node in the region of nodes.
NODE_SIZE: Final = 256 << 10
#: Alignment of the image, and of the regions whose size depends on it.
_ALIGNMENT: Final = 2 << 20
#: Executable code: pairs of symbols. Kernel: arch/*/kernel/vmlinux.lds.S, v6.12. On x86_64 the code after init text is
#: the long forms of static_cpu_has().
_TEXT: Final = {
    "EM_X86_64": (("_text", "_etext"), ("_sinittext", "__x86_cpu_dev_start")),
    "EM_AARCH64": (("_text", "_etext"),),
    "EM_RISCV": (("_start", "_etext"),),
}
#: Unicorn's architecture for each ELF machine.
_EMULATORS: Final = {"EM_X86_64": "UC_ARCH_X86", "EM_AARCH64": "UC_ARCH_ARM64", "EM_RISCV": "UC_ARCH_RISCV"}


class LoadedKernel:
    """A kernel image in memory next to a machine, ready to run.

    kernel  the kernel
    memory  the memory that holds it, above the machine's RAM
    root    PA of the top table that its code runs with
    tables  the page tables below that
    image, per_cpu, stack, data, node  regions of the memory
    processors  its CPUs
    exit    VA that calls return to; it holds no code, and the CPU stops before it fetches any
    """

    def __init__(self, machine: Machine, kernel: Kernel, cpus: int = 1) -> None:
        self.kernel = kernel
        self._check(machine)
        target, image = machine.target, kernel.image
        template = next((segment for segment in image.segments if segment.per_cpu), None)
        per_cpu = 0 if template is None else round_up(template.memory_size, _ALIGNMENT)
        others = bytes_of_others(kernel, cpus)
        sizes = (round_up(image.memory_size, _ALIGNMENT), per_cpu, STACK, _DATA, others, NODE_SIZE * machine.nodes)
        base = round_up(machine.memory.base + machine.memory.size, _ALIGNMENT)
        self.memory = PhysicalMemory(
            base,
            sum(sizes) + _TABLES,
            page_shift=target.mode.page_shift,
            byte_order=target.architecture.byte_order,
            entry_byte_order=target.entry_byte_order,
        )
        starts = [sum(sizes[:position]) for position in range(len(sizes))]
        self.image, self.per_cpu, self.stack, self.data, copies, self.node = (
            Region(image.base + start, base + start, size) for start, size in zip(starts, sizes, strict=True)
        )
        first = Processor(0, self.stack, self.per_cpu, self.per_cpu.va if per_cpu else 0, task_of(kernel))
        self.processors = processors_of(kernel, first, copies)
        self.exit = self.node.end - 2 * WORD_BYTES
        self._next_table = base + sum(sizes)
        self._target = target
        self.root = self._new_table(target.mode.levels[0])
        self.tables = PageTables(self.memory, target, self.root)
        self._map(machine)
        self._fill(machine)

    def _check(self, machine: Machine) -> None:
        """Raise UsageError if the kernel is for another architecture or paging mode."""
        emulation, release = machine.target.architecture.emulation, self.kernel.image.release
        if emulation is None or emulation.emulator[0] != _EMULATORS.get(self.kernel.image.machine):
            raise UsageError(
                f"a kernel for {self.kernel.image.machine} does not run on {machine.target.architecture.name}",
                where=release,
                hint="name an image of the machine's architecture",
            )
        modes = modes_of(self.kernel, machine.target.architecture.modes)
        if machine.target.mode.name not in {mode.name for mode in modes}:
            raise UsageError(
                f"this kernel does not run in the mode {machine.target.mode.name}",
                where=release,
                rule="an arm64 kernel is built for one base page and one width of VA",
                hint=f"choose --mode {modes[0].name}"
                if modes
                else "use another image: hvolab has no mode for this one",
            )
        if reason := emulation.refusal(machine.target):
            raise UsageError(
                f"this kernel cannot be emulated: it runs in the mode {machine.target.mode.name}",
                where=release,
                rule=reason,
                hint="use a kernel that is built for another width, such as ARM64_VA_BITS_48",
            )

    # page tables

    def _new_table(self, level: Level) -> int:
        """Return the PA of an empty table."""
        pa = round_up(self._next_table, level.table_bytes)
        self._next_table = pa + level.table_bytes
        if self._next_table > self.memory.base + self.memory.size:
            raise KernelImageError(
                f"the image has {self.kernel.image.memory_size} bytes, more than can be mapped",
                where=self.kernel.image.release,
                rule=f"the loader has {_TABLES} bytes for page tables",
            )
        return pa

    def _map(self, machine: Machine) -> None:
        """Map image and regions by single pages: text is executable only, everything else not executable."""
        self._share(machine)
        end, page_size = self.node.end, self._target.mode.page_size
        for role, ranges in (
            (PgprotRole.KERNEL, [(self.image.va, end)]),
            (PgprotRole.KERNEL_EXEC, [*self._text(), (end - page_size, end)]),  # the last page holds the exit
        ):
            for start, stop in ranges:
                first, pages = start // page_size, div_round_up(stop, page_size) - start // page_size
                pfn = self.pa(first * page_size) // page_size
                self.tables.map_leaves(
                    first * page_size, pfn, pages, self._target.mode.last.name, role, self._new_table
                )

    def _share(self, machine: Machine) -> None:
        """Copy the machine's tables on the path to the image, down to the level where they map nothing else.

        What they map there is the machine's guest text, which the kernel's code does not use.
        """
        mode, memory, va = self._target.mode, self.memory, self.image.va
        pages, first = machine.struct_pages, machine.memory.first_pfn
        ranges = (
            (mode.direct_map_base, mode.direct_map_base + machine.memory.size),
            (pages.va(first), pages.va(first + machine.memory.frames)),
        )
        ours, table = self.root, machine.tables.root
        for depth, level in enumerate(mode.levels):
            index = level.index(va)
            theirs = machine.memory.entry_view(table, level.entries)
            memory.entry_view(ours, level.entries)[:] = theirs
            slot = ours + index * level.entry_bytes
            prefix = va >> level.shift
            if not any(first >> level.shift <= prefix <= (end - 1) >> level.shift for first, end in ranges):
                memory.write_entry(slot, mode.format.empty(level.name))
                return
            raw = int(theirs[index])
            if mode.format.classify(level.name, raw) is not EntryKind.TABLE:
                return
            table = mode.format.form(level.name, EntryKind.TABLE).get_address(raw)
            ours = self._new_table(mode.levels[depth + 1])
            memory.write_entry(slot, self._target.table(level.name, ours >> mode.page_shift))

    def _text(self) -> list[tuple[int, int]]:
        """Return first VA and end of each range of text."""
        bounds = [tuple(map(self.kernel.symbols.find, names)) for names in _TEXT[self.kernel.image.machine]]
        found = [(start, end) for start, end in bounds if start is not None and end is not None and start < end]
        if not found:
            raise KernelImageError("the kernel has no symbols for its text", where=self.kernel.image.release)
        linked = self.kernel.linked
        return found if linked is None else [*found, (linked.start, linked.end)]

    # contents

    def _fill(self, machine: Machine) -> None:
        """Fill memory with the image, the per-CPU template, and what boot would have written."""
        mode, kernel = self._target.mode, self.kernel
        for segment in kernel.image.segments:
            pa = self.per_cpu.pa if segment.per_cpu else self.pa(segment.va)
            self.memory.view(pa, segment.content.size)[:] = segment.content
        placement = Placement(
            ram=machine.memory.base if mode.origin is LinearOrigin.RAM else 0,
            image=self.image.pa,
            direct_map=mode.direct_map_base,
            vmemmap=mode.vmemmap_base,
            text=self.image.va,
            levels=len(mode.levels),
            features=frozenset(self._target.features),
        )
        for word in (*initial_words(kernel, placement), *node_words(kernel, self.node.va, NODE_SIZE, machine.nodes)):
            self.write(*word)
        # the kernel's code walks and changes the machine's tables instead of those that boot would build in the image
        pgd = kernel.symbols.address("init_mm") + kernel.types.offset("mm_struct", "pgd")
        self.write(pgd, WORD_BYTES, machine.virt(machine.tables.root))
        for processor in self.processors[1:]:
            self._fill_processor(processor)

    def _fill_processor(self, processor: Processor) -> None:
        """Copy the first CPU's data and task for another one."""
        memory, (start, size) = self.memory, per_cpu_range(self.kernel)
        task_size = self.kernel.types.size("task_struct")
        for to_va, from_va, count in (
            (processor.data.va, start + self.processors[0].offset, size),
            (processor.task, self.processors[0].task, task_size),
        ):
            memory.view(self.pa(to_va), count)[:] = memory.view(self.pa(from_va), count)
        for word in words_of(self.kernel, processor):
            self.write(*word)

    def replace(self, va: int, code: bytes) -> None:
        """Replace instructions at `va`."""
        self.write(va, len(code), int.from_bytes(code, "little"))

    def pa(self, va: int) -> int:
        """Return the PA of a VA in the kernel's memory."""
        return va - self.image.va + self.image.pa

    def holds(self, va: int, size: int = 1) -> bool:
        """Return True if the range is in the kernel's memory."""
        return self.image.va <= va and va + size <= self.node.end

    def read(self, va: int, size: int) -> int:
        """Read a little-endian number from the kernel's memory."""
        return int.from_bytes(self.memory.view(self.pa(va), size).tobytes(), "little")

    def write(self, va: int, size: int, value: int) -> None:
        """Write a little-endian number to the kernel's memory."""
        self.memory.view(self.pa(va), size)[:] = np.frombuffer(value.to_bytes(size, "little"), dtype=np.uint8)

    def read_text(self, va: int, limit: int = 256) -> str:
        """Read a NUL-terminated text from the kernel's memory."""
        size = min(limit, self.node.end - va)
        raw = self.memory.view(self.pa(va), size).tobytes()
        return raw.partition(b"\0")[0].decode("ascii", "replace")
