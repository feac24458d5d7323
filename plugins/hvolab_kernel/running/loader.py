"""Puts a kernel image beside a machine: in memory of its own above RAM, mapped at its link address.

A machine's bytes stay as they are. The CPU that runs the kernel's code has a top table of its own, in that memory too:
its entries are the machine's, so direct map and vmemmap are the machine's own, but for the one that leads to the
image. So do Linux's processes share the kernel's tables below their own top table. What the kernel's code walks and
changes, through init_mm, is the machine's top table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hvolab.arch import EntryKind, Level, LinearOrigin, PgprotRole
from hvolab.errors import UsageError
from hvolab.machine import Machine, PageTables, PhysicalMemory
from hvolab_kernel.running.initial_state import Placement, Word, initial_words, keeps_pages, modes_of, node_words
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel

_WORD = 8
#: Bytes of a stack, of room for the kernel's structs that are made up (hstates), and of room for page tables.
_STACK, _DATA, _TABLES = 64 << 10, 512 << 10, 2 << 20
#: What begins behind the image is aligned so.
_ALIGNMENT = 2 << 20
#: Where a kernel's code is that may run: pairs of symbols. Kernel: arch/*/kernel/vmlinux.lds.S, v6.12. What x86_64
#: has right behind init text are the long forms of static_cpu_has().
_TEXT = {
    "EM_X86_64": (("_text", "_etext"), ("_sinittext", "__x86_cpu_dev_start")),
    "EM_AARCH64": (("_text", "_etext"),),
    "EM_RISCV": (("_start", "_etext"),),
}
#: Architecture of unicorn for the machine that an ELF file names.
_EMULATORS = {"EM_X86_64": "UC_ARCH_X86", "EM_AARCH64": "UC_ARCH_ARM64", "EM_RISCV": "UC_ARCH_RISCV"}


@dataclass(frozen=True)
class Region:
    """A range of the memory beside the machine: its first VA and PA, and its bytes."""

    va: int
    pa: int
    size: int

    @property
    def end(self) -> int:
        """First VA behind it."""
        return self.va + self.size


class LoadedKernel:
    """A kernel image beside a machine, ready to run.

    kernel   what was placed
    machine  beside which machine
    memory   the memory that holds it, above the machine's RAM
    root     PA of the top table through which its code runs
    image, per_cpu, stack, data  where things are
    """

    def __init__(self, machine: Machine, kernel: Kernel) -> None:
        self.kernel = kernel
        self._check(machine)
        target, image = machine.target, kernel.image
        template = next((one for one in image.segments if one.per_cpu), None)
        per_cpu = 0 if template is None else _aligned(template.memory_size)
        sizes = (_aligned(image.memory_size), per_cpu, _STACK, _DATA)
        base = _aligned(machine.memory.base + machine.memory.size)
        self.memory = PhysicalMemory(
            base,
            sum(sizes) + _TABLES,
            page_shift=target.mode.page_shift,
            byte_order=target.architecture.byte_order,
        )
        starts = [sum(sizes[:position]) for position in range(len(sizes))]
        rooms = [Region(image.base + at, base + at, size) for at, size in zip(starts, sizes, strict=True)]
        self.image, self.per_cpu, self.stack, data = rooms
        half = data.size // 2
        self.data = Region(data.va, data.pa, half)
        #: Room for the kernel's structs of a node; calls return to its end.
        self.node = Region(data.va + half, data.pa + half, half)
        #: The bytes of the kernel's zones, for kernels whose HVO goes there and leaves pages there; else none.
        zones = self.node.size if keeps_pages(kernel) else 0
        self.zones = self.memory.view(self.node.pa, zones)
        #: Where a call returns to: no code stands there, and the CPU is stopped before it fetches any.
        self.exit = self.node.end - 2 * _WORD
        self._next_table = base + sum(sizes)
        self._target = target
        self.root = self._new_table(target.mode.levels[0])
        self.tables = PageTables(self.memory, target, self.root)
        self._map(machine)
        self._words = self._initial_state(machine)
        self._fill()

    def _check(self, machine: Machine) -> None:
        """Raise UsageError where the kernel is for another machine."""
        emulation = machine.target.architecture.emulation
        wanted = _EMULATORS.get(self.kernel.image.machine)
        if emulation is None or emulation.emulator[0] != wanted:
            raise UsageError(
                f"a kernel for {self.kernel.image.machine} does not run on {machine.target.architecture.name}",
                where=self.kernel.image.release,
                hint="name an image of the machine's architecture",
            )
        modes = modes_of(self.kernel, machine.target.architecture.modes)
        if machine.target.mode.name not in {mode.name for mode in modes}:
            raise UsageError(
                f"this kernel does not run in the mode {machine.target.mode.name}",
                where=self.kernel.image.release,
                rule="it is built for one base page and one width of VA",
                hint=f"choose --mode {modes[0].name}" if modes else "hvolab declares no mode that it would run in",
            )

    # memory

    def _new_table(self, level: Level) -> int:
        """PA of an empty table."""
        pa = -(-self._next_table // level.table_bytes) * level.table_bytes
        self._next_table = pa + level.table_bytes
        if self._next_table > self.memory.base + self.memory.size:
            raise KernelImageError(
                f"the image has {self.kernel.image.memory_size} bytes, more than can be mapped",
                where=self.kernel.image.release,
                rule=f"there is room for {_TABLES} bytes of page tables",
            )
        return pa

    def _map(self, machine: Machine) -> None:
        """Map the image and what is behind it, by single pages: text can be executed only, all else only accessed."""
        mode, memory, tables = self._target.mode, self.memory, self.tables
        self._share(machine)
        last, step = mode.last, mode.levels[-2].size
        executable = self._text_pages()
        for va in range(self.image.va, self.node.end, step):
            count = min(last.entries, (self.node.end - va) >> mode.page_shift)
            first = memory.first_pfn + ((va - self.image.va) >> mode.page_shift)
            tables.map_leaf(va, first, last.name, PgprotRole.KERNEL, self._new_table)
            pfns = np.arange(first, first + count, dtype=np.int64)
            entries = self._target.page_entries(pfns, PgprotRole.KERNEL)
            text = executable[first - memory.first_pfn : first - memory.first_pfn + count]
            entries[text] = self._target.page_entries(pfns[text], PgprotRole.KERNEL_EXEC)
            memory.word_view(tables.find(va).slot, count)[:] = entries

    def _share(self, machine: Machine) -> None:
        """Take the machine's tables, but for those on the way to the image, down to where nothing else is below.

        What the machine has there is its guest text, for which the kernel's code has no use.
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
            theirs = machine.memory.word_view(table, level.entries)
            memory.word_view(ours, level.entries)[:] = theirs
            slot = ours + index * level.entry_bytes
            prefix = va >> level.shift
            if not any(first >> level.shift <= prefix <= (end - 1) >> level.shift for first, end in ranges):
                memory.write_word(slot, mode.format.empty(level.name))
                return
            raw = int(theirs[index])
            if mode.format.classify(level.name, raw) is not EntryKind.TABLE:
                return
            table = mode.format.form(level.name, EntryKind.TABLE).get_address(raw)
            ours = self._new_table(mode.levels[depth + 1])
            memory.write_word(slot, self._target.table(level.name, ours >> mode.page_shift))

    def _text_pages(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which pages from the image's base on are text."""
        shift = self._target.mode.page_shift
        pages = np.zeros((self.node.end - self.image.va) >> shift, dtype=np.bool_)
        pages[-1] = True  # where calls return to
        for start, stop in _TEXT[self.kernel.image.machine]:
            first, last = self.kernel.symbols.find(start), self.kernel.symbols.find(stop)
            if first is not None and last is not None and first < last:
                pages[(first - self.image.va) >> shift : (last - self.image.va + (1 << shift) - 1) >> shift] = True
        if not pages[:-1].any():
            raise KernelImageError("the kernel does not tell where its text is", where=self.kernel.image.release)
        return pages

    def reset(self) -> None:
        """Put the image's bytes into memory, a copy of the per-CPU template, and what boot would have written."""
        self.memory.view(self.image.pa, self.node.pa + self.node.size - self.image.pa)[:] = 0
        self._fill()

    def _fill(self) -> None:
        """Do so in memory that is zeroed, as it is at first."""
        for segment in self.kernel.image.segments:
            pa = self.per_cpu.pa if segment.per_cpu else self.pa(segment.va)
            self.memory.view(pa, segment.content.size)[:] = segment.content
        for word in self._words:
            self.write(word.va, word.size, word.value)

    def replace(self, va: int, code: bytes) -> None:
        """Put other instructions where a function begins that is never to run as it is."""
        word = Word(va, len(code), int.from_bytes(code, "little"), "a function that is stood in for")
        self._words = (*self._words, word)
        self.write(word.va, word.size, word.value)

    def pa(self, va: int) -> int:
        """PA of a VA of the image or behind it."""
        return va - self.image.va + self.image.pa

    def holds(self, va: int, size: int = 1) -> bool:
        """Whether the VA is the image's, or of what is behind it."""
        return self.image.va <= va and va + size <= self.node.end

    def read(self, va: int, size: int) -> int:
        """The little-endian number at a VA of the image or behind it."""
        return int.from_bytes(self.memory.view(self.pa(va), size).tobytes(), "little")

    def write(self, va: int, size: int, value: int) -> None:
        """Store a little-endian number there."""
        self.memory.view(self.pa(va), size)[:] = np.frombuffer(value.to_bytes(size, "little"), dtype=np.uint8)

    def read_text(self, va: int, limit: int = 256) -> str:
        """The text up to its NUL at a VA of the image."""
        size = min(limit, self.node.end - va)
        raw = self.memory.view(self.pa(va), size).tobytes()
        return raw.partition(b"\0")[0].decode("ascii", "replace")

    # what boot writes

    def _initial_state(self, machine: Machine) -> tuple[Word, ...]:
        """What boot would have written into the kernel's data."""
        mode, kernel = self._target.mode, self.kernel
        placement = Placement(
            ram=machine.memory.base if mode.origin is LinearOrigin.RAM else 0,
            image=self.image.pa,
            direct_map=mode.direct_map_base,
            vmemmap=mode.vmemmap_base,
            text=self.image.va,
            levels=len(mode.levels),
        )
        # the kernel's code walks and changes the machine's tables, not those that it would have built in its image
        pgd = kernel.symbols.address("init_mm") + kernel.types.offset("mm_struct", "pgd")
        root = machine.virt(machine.tables.root)
        return (
            *initial_words(kernel, placement),
            Word(pgd, 8, root, "init_mm.pgd, for who walks the kernel's tables"),
            *node_words(kernel, self.node.va, self.node.size),
        )


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
