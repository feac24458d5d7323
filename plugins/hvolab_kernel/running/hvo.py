# SPDX-License-Identifier: GPL-2.0-only
"""HVO engine that calls a kernel's own code, with the methods of hvolab's engine: pools and scenarios use either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from hvolab.arithmetic import round_up
from hvolab.errors import UsageError
from hvolab.hvo import HasOrder, VmemmapSizes
from hvolab.machine import Cpu, Machine
from hvolab.release import KernelFeature
from hvolab.trace import Barrier, Warned
from hvolab_kernel.code.calls import callees, returns_from
from hvolab_kernel.code.hvo_functions import hvo_functions
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running.call_result import CallResult
from hvolab_kernel.running.kernel_cpu import KernelCpu
from hvolab_kernel.running.tail_pages import SharedTailPages
from hvolab_kernel.running.tracer import COPY_FUNCTIONS, FOLIO_FUNCTIONS, FolioTracer
from hvolab_vmlinux.errors import KernelImageError, SymbolError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.symbols.table import SymbolTable

#: Functions of the engine's methods, by the feature with which a kernel has them.
#: Kernel: mm/hugetlb_vmemmap.c, v6.1, v6.12.
_FUNCTIONS: Final[Mapping[KernelFeature, Mapping[str, str]]] = {
    KernelFeature.HEADS: {"optimize": "hugetlb_vmemmap_optimize", "restore": "hugetlb_vmemmap_restore"},
    KernelFeature.FOLIOS: {"optimize": "hugetlb_vmemmap_optimize_folio", "restore": "hugetlb_vmemmap_restore_folio"},
    KernelFeature.BATCHES: {
        "optimize list": "hugetlb_vmemmap_optimize_folios",
        "restore list": "hugetlb_vmemmap_restore_folios",
    },
}
_INT_BITS: Final = 32
_LONG_BITS: Final = 64


class KernelHvo:
    """HVO of a kernel image on one machine. A folio is the VA of its head struct page, as in the kernel.

    machine     the machine
    cpu         the CPU that reads struct pages (default: the machine's first)
    kernel_cpu  the CPU that runs the kernel's code (default: a new one, with the kernel loaded for it)
    release     the kernel release whose code it has; the machine's for a kernel with the features of no known release
    batches     True if the kernel has functions that take lists of folios
    last        result of the last call
    traced      operations whose begin and end emit an event for each folio: `optimize`, `restore`
    end_operations  emits that the current operations on a folio and on a list have ended

    Raises KernelImageError for a kernel without HVO, UsageError for a kernel that does not fit the machine.
    """

    def __init__(
        self, machine: Machine, kernel: Kernel, cpu: Cpu | None = None, kernel_cpu: KernelCpu | None = None
    ) -> None:
        features = features_of(kernel)
        if not features.exists:
            raise KernelImageError(f"cannot run this kernel's HVO: {features.summary}", where=kernel.image.release)
        self.machine = machine
        self.kernel = kernel
        self.release = features.release or machine.target.release
        self.batches = features.has(KernelFeature.BATCHES)
        self._functions = {
            method: function
            for feature, functions in _FUNCTIONS.items()
            if features.has(feature)
            for method, function in functions.items()
        }
        self.cpu = machine.cpus[0] if cpu is None else cpu
        self.kernel_cpu = KernelCpu(machine, kernel) if kernel_cpu is None else kernel_cpu
        machine.trace.absent.add(Barrier)
        self._layout = machine.struct_pages.layout
        self._sizes: dict[int, VmemmapSizes] = {}
        self._hstates: dict[int, int] = {}
        self._order = kernel.types.offset("hstate", "order")
        self._hstate_size = round_up(kernel.types.size("hstate"), 64)
        self.last: CallResult | None = None
        self._trace_folios()
        self._check_layout()

    def _check_layout(self) -> None:
        """Raise UsageError if kernel and machine differ in the size of a struct page, or in the node bits of flags."""
        ours, size = self._layout, self.kernel.types.size("page")
        if ours.size != size:
            raise UsageError(f"the kernel's struct page has {size} bytes, the machine's {ours.size}")
        if self.machine.nodes == 1:
            return
        theirs = struct_page_layout(self.kernel)
        if (theirs.node_shift, theirs.node_bits) != (ours.node_shift, ours.node_bits):
            raise UsageError(
                f"the kernel has a page's node in {theirs.node_bits} bits of its flags from bit {theirs.node_shift} "
                f"on, the machine in {ours.node_bits} from bit {ours.node_shift} on",
                where=self.kernel.image.release,
                rule="CONFIG_NODES_SHIFT",
                hint="give the machine one node, or build it with the kernel's layout: struct_page_layout(kernel)",
            )

    def sizes(self, h: HasOrder) -> VmemmapSizes:
        """Return the sizes of the vmemmap of `h`'s folios."""
        sizes = self._sizes.get(h.order)
        if sizes is None:
            page_size = self.machine.target.mode.page_size
            sizes = self._sizes[h.order] = VmemmapSizes(h.order, page_size, self._layout.size)
        return sizes

    def folio_optimized(self, folio: int) -> bool:
        """Test the flag of an optimized folio. Kernel: folio_test_hugetlb_vmemmap_optimized()."""
        private = self.cpu.load_word(folio + self._layout.private)
        return bool(private >> self._layout.hpg_vmemmap_optimized & 1)

    def _trace_folios(self) -> None:
        """Emit events for each folio, also within a batch, and for each copied page."""
        cpu, symbols = self.kernel_cpu, self.kernel.symbols
        tracer, tail_pages = FolioTracer(self.machine, self.cpu), SharedTailPages(self.machine, cpu.loaded)

        def end_folio() -> None:  # without a reference to the CPU, which refers to this function
            tail_pages.copy()
            tracer.end()

        def end_batch() -> None:
            tail_pages.copy()
            tracer.end_batch()

        self._tracer, self._end_folio, self.end_operations = tracer, end_folio, end_batch
        found = [(_body(symbols, name), operation) for name, operation in FOLIO_FUNCTIONS.items()]
        for operation in ("optimize", "restore"):
            if not any(va for va, known in found if known == operation):
                functions = [self._functions.get(f"{operation}{suffix}", "") for suffix in ("", " list")]
                found.append((_renamed(self.kernel, functions), operation))
        self.traced = frozenset(operation for va, operation in found if va is not None)
        for va, operation in found:
            if va is None:
                continue
            begin = partial(tracer.begin, operation)
            cpu.trace_at(va, lambda _, folio, begin=begin: begin(folio), 2)
            for caller in hvo_functions(self.kernel, frozenset(self._functions.values())):
                with suppress(SymbolError, KernelImageError):  # a name of several functions
                    for return_va in returns_from(self.kernel, caller, va):
                        cpu.trace_at(return_va, end_folio)
        size = self.machine.target.mode.page_size
        copy_page, memcpy = map(symbols.find, COPY_FUNCTIONS)
        if copy_page is not None:
            cpu.trace_at(copy_page, lambda to_va, from_va: tracer.copied(to_va, from_va, size), 2)
        if memcpy is not None:
            cpu.trace_at(memcpy, tracer.copied, 3)

    def trace_callers(self, functions: Iterable[str]) -> None:
        """Emit the events of batches and folios also where other functions of the kernel call HVO.

        functions  names of these functions; those that the kernel does not have are ignored

        Must precede the first call.
        """
        cpu, names = self.kernel_cpu, tuple(functions)
        for method, function in self._functions.items():
            va = self.kernel.symbols.address(function)
            operation, _, of_list = method.partition(" ")
            if of_list:
                cpu.trace_at(va, partial(self._tracer.begin_batch, operation))
            for name in names:
                with suppress(SymbolError, KernelImageError):
                    for return_va in returns_from(self.kernel, name, va):
                        cpu.trace_at(return_va, self.end_operations if of_list else self._end_folio)

    # the engine's methods

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        """Call hugetlb_vmemmap_optimize_folio() of the kernel, or its predecessor."""
        self._call("optimize", self._hstate(h), folio)

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        """Call hugetlb_vmemmap_restore_folio() of the kernel, or its predecessor: 0 or a negative errno."""
        return _signed(self._call("restore", self._hstate(h), folio), _INT_BITS)

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Call hugetlb_vmemmap_optimize_folios() of the kernel."""
        self._tracer.begin_batch("optimize")
        self._call("optimize list", self._hstate(h), folio_list)
        self.end_operations()

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        """Call hugetlb_vmemmap_restore_folios() of the kernel: the number restored, or a negative errno."""
        self._tracer.begin_batch("restore")
        result = self._call("restore list", self._hstate(h), folio_list, non_hvo_folios)
        self.end_operations()
        return _signed(result, _LONG_BITS)

    def save(self) -> Callable[[], None]:
        """Save the kernel's own data, such as locks and counters; return the function that restores them."""
        restore_memory, hstates = self.kernel_cpu.loaded.memory.save(), self._hstates.copy()

        def restore() -> None:
            restore_memory()
            self._hstates = hstates.copy()

        return restore

    def prepare(self, h: HasOrder) -> None:
        """Write the struct hstate of `h`, which the first call would write."""
        self._hstate(h)

    # helpers

    def _call(self, method: str, *arguments: int) -> int:
        """Call the kernel's function for a method and return its result.

        Findings of the call are emitted as warnings of VA 0, since they name no folio. Raises KernelBug with a
        backtrace if the call does not return, KernelImageError if the kernel has no function for the method.
        """
        function = self._functions.get(method)
        if function is None:
            raise KernelImageError(
                f"this kernel's HVO has no function for {method!r}",
                where=f"{self.kernel.image.release}, release {self.release}",
                rule=f"its functions are {', '.join(self._functions.values())}",
            )
        self.last = self.kernel_cpu.call(function, *arguments)
        self._end_folio()
        for text in self.last.findings:
            self.machine.trace.emit(Warned(text, 0))
        return self.last.required().result

    def _hstate(self, h: HasOrder) -> int:
        """Return the VA of a struct hstate with that order, the only member that HVO reads."""
        va = self._hstates.get(h.order)
        if va is None:
            loaded = self.kernel_cpu.loaded
            va = loaded.data.va + self._hstate_size * len(self._hstates)
            if va + 2 * self._hstate_size > loaded.data.end:
                raise UsageError(f"no room for another struct hstate: there are {len(self._hstates)}")
            loaded.write(va + self._order, 4, h.order)
            self._hstates[h.order] = va
        return va


def _body(symbols: SymbolTable, name: str) -> int | None:
    """Return the VA of a function, or of the part behind its first check that the compiler moved out of it."""
    parts = (one for one in symbols.containing(f"{name}.part.") if one.startswith(name) and ".cold" not in one)
    return symbols.find(next(parts, name))


def _renamed(kernel: Kernel, functions: Sequence[str]) -> int | None:
    """Return the VA of the only function of an object, with a name of its own, that each of these functions calls."""
    if kernel.linked is None or not all(map(kernel.symbols.all, functions)):
        return None
    common = frozenset.intersection(*(callees(kernel, name) for name in functions)) - set(hvo_functions(kernel))
    places = [va for name in common for va in kernel.symbols.all(name) if kernel.linked.start <= va < kernel.linked.end]
    return places[0] if len(places) == 1 else None


def _signed(value: int, bits: int) -> int:
    """Return the low `bits` of a register as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
