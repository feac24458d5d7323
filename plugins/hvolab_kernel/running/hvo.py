"""A kernel's own HVO, with the methods of the engine: pools and scenarios work with either."""

from __future__ import annotations

from typing import Final

from hvolab.errors import UsageError
from hvolab.hvo import HasOrder, VmemmapSizes
from hvolab.machine import Cpu, Machine
from hvolab.trace import Batch, Warned
from hvolab_kernel.code.calls import returns_from
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.identify.variants import variant_of
from hvolab_kernel.running.call_status import CallResult
from hvolab_kernel.running.kernel_cpu import KernelCpu
from hvolab_kernel.running.tracer import COPY_FUNCTIONS, FOLIO_FUNCTIONS, FolioTracer
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel

_CALLERS: Final = tuple(
    f"hugetlb_vmemmap_{what}_folio{plural}" for what in ("optimize", "restore") for plural in ("", "s")
)
_INT_BITS: Final = 32
_LONG_BITS: Final = 64


#: The kernel's function for each of the engine's methods, by what it takes: folios, or head pages one by one.
_FOLIOS: Final = {
    "optimize": "hugetlb_vmemmap_optimize_folio",
    "restore": "hugetlb_vmemmap_restore_folio",
    "optimize list": "hugetlb_vmemmap_optimize_folios",
    "restore list": "hugetlb_vmemmap_restore_folios",
}
_HEADS: Final = {"optimize": "hugetlb_vmemmap_optimize", "restore": "hugetlb_vmemmap_restore"}


class KernelHvo:
    """HVO as a kernel image has it, on one machine. A folio is the VA of its head struct page, as in the kernel.

    machine  the machine
    cpu      the CPU through which folios are looked at (default: the machine's first); the kernel's code runs on one
             of its own
    kernel_cpu  that one
    variant  which variant of HVO the engine has to have to do the same
    last     how the last call of a kernel's function ended

    Raises KernelImageError for a kernel without HVO or of a release that has other functions, UsageError for one
    that is not for this machine.
    """

    def __init__(self, machine: Machine, kernel: Kernel, cpu: Cpu | None = None) -> None:
        features = features_of(kernel)
        if features.release is None:
            raise KernelImageError(f"this kernel's HVO cannot be run: {features.summary}", where=kernel.image.release)
        self.machine = machine
        self.kernel = kernel
        self.release = features.release
        self.variant = variant_of(kernel)
        self._functions = _FOLIOS if features.has("batches") else _HEADS
        self.cpu = machine.cpus[0] if cpu is None else cpu
        self.kernel_cpu = KernelCpu(machine, kernel)
        layout = machine.struct_pages.layout
        self._layout = layout
        self._sizes: dict[int, VmemmapSizes] = {}
        self._hstates: dict[int, int] = {}
        self._order = kernel.types.offset("hstate", "order")
        self._hstate_size = -(-kernel.types.size("hstate") // 64) * 64
        self.last: CallResult | None = None
        self._follow()
        if layout.size != kernel.types.size("page"):
            raise UsageError(
                f"the kernel's struct page has {kernel.types.size('page')} bytes, the machine's {layout.size}"
            )
        self._check_nodes()

    def _check_nodes(self) -> None:
        """Raise UsageError where the kernel would not see which node a page is on."""
        if self.machine.nodes == 1:
            return
        theirs, ours = struct_page_layout(self.kernel), self._layout
        if (theirs.node_shift, theirs.node_bits) != (ours.node_shift, ours.node_bits):
            raise UsageError(
                f"the kernel has a page's node in {theirs.node_bits} bits of its flags from bit {theirs.node_shift} "
                f"on, the machine in {ours.node_bits} from bit {ours.node_shift} on",
                where=self.kernel.image.release,
                rule="CONFIG_NODES_SHIFT",
                hint="give the machine one node, or build it with the kernel's layout: struct_page_layout(kernel)",
            )

    def sizes(self, h: HasOrder) -> VmemmapSizes:
        """The sizes of the vmemmap of ``h``'s folios."""
        known = self._sizes.get(h.order)
        if known is None:
            page_size = self.machine.target.mode.page_size
            known = self._sizes[h.order] = VmemmapSizes(h.order, page_size, self._layout.size)
        return known

    def folio_optimized(self, folio: int) -> bool:
        """Whether the kernel has set its flag for it. Kernel: folio_test_hugetlb_vmemmap_optimized()."""
        private = self.cpu.load_word(folio + self._layout.private)
        return bool(private >> self._layout.hpg_vmemmap_optimized & 1)

    def _follow(self) -> None:
        """Tell listeners of what happens to each folio, also within a batch, and of pages that are copied."""
        cpu, symbols = self.kernel_cpu, self.kernel.symbols
        follower = self._follower = FolioTracer(self.machine, self.cpu)
        for name, what in FOLIO_FUNCTIONS.items():
            va = symbols.find(name)
            if va is None:
                continue
            cpu.follow(va, lambda _, folio, what=what: follower.folio(what, folio), 2)
            for caller in _CALLERS:
                for back in returns_from(self.kernel, caller, va):
                    cpu.follow(back, follower.done)
        size = self.machine.target.mode.page_size
        page, some = map(symbols.find, COPY_FUNCTIONS)
        if page is not None:
            cpu.follow(page, lambda to, source: follower.copied(to, source, size), 2)
        if some is not None:
            cpu.follow(some, follower.copied, 3)

    # the engine's methods

    @property
    def batches(self) -> bool:
        """Whether the kernel has functions that take lists of folios."""
        return self._functions is _FOLIOS

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        """Call hugetlb_vmemmap_optimize_folio() of the kernel, or what was before it."""
        self._call("optimize", self._hstate(h), folio)

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        """Call hugetlb_vmemmap_restore_folio() of the kernel, or what was before it: 0 or a negative errno."""
        return _signed(self._call("restore", self._hstate(h), folio), _INT_BITS)

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Call hugetlb_vmemmap_optimize_folios() of the kernel."""
        self._batch("optimize.begin")
        self._call("optimize list", self._hstate(h), folio_list)
        self._batch("optimize.end")

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        """Call hugetlb_vmemmap_restore_folios() of the kernel: the number restored, or a negative errno."""
        self._batch("restore.begin")
        result = self._call("restore list", self._hstate(h), folio_list, non_hvo_folios)
        self._batch("restore.end")
        return _signed(result, _LONG_BITS)

    def reset(self) -> None:
        """Bring the kernel's own data back to what they were before its first call: locks, counters, caches."""
        self.kernel_cpu.placed.reset()
        self._hstates.clear()

    # helpers

    def _call(self, method: str, *arguments: int) -> int:
        """Call a function and give what it returns; raises KernelBug with a backtrace where it does not.

        What it found amiss on the way, listeners are told of: no folio is named, VA 0 stands for it.
        Raises KernelImageError for a method that the kernel has no function for.
        """
        function = self._functions.get(method)
        if function is None:
            raise KernelImageError(
                "this kernel's HVO takes no lists of folios: its functions take head pages, one by one",
                where=f"{self.kernel.image.release}, release {self.release}",
                rule="batches came with the release 6.12",
            )
        self.last = self.kernel_cpu.call(function, *arguments)
        self._follower.done()
        for text in self.last.findings:
            self.machine.trace.emit(Warned(text, 0))
        return self.last.required().result

    def _hstate(self, h: HasOrder) -> int:
        """VA of a struct hstate of that order: HVO reads nothing else of it. Kernel: struct hstate, v6.12."""
        va = self._hstates.get(h.order)
        if va is None:
            placed = self.kernel_cpu.placed
            va = placed.data.va + self._hstate_size * len(self._hstates)
            if va + 2 * self._hstate_size > placed.data.end:
                raise UsageError(f"no room for a struct hstate more: there are {len(self._hstates)}")
            placed.write(va + self._order, 4, h.order)
            self._hstates[h.order] = va
        return va

    def _batch(self, step: str) -> None:
        if self.machine.trace.listeners:
            self.machine.trace.emit(Batch(step))


def _signed(value: int, bits: int) -> int:
    """The low ``bits`` of a register as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
