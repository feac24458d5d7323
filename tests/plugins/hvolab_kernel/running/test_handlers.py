# SPDX-License-Identifier: GPL-2.0-only
"""Handlers of stubs, called with registers of a real emulated CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hvolab.hugetlb.folio import FolioPages
from hvolab.machine import FrameAllocator
from hvolab.machine.frames.failure import FailFrom, NeverFail
from hvolab.release.gfp import Gfp
from hvolab.trace import AllFlushed, Event, KeyChanged, PagesAllocated, PagesFreed, RangeFlushed, Stored
from hvolab_kernel.code.stubs import STUBS, Argument, Stub, StubAction
from hvolab_kernel.running import KernelCpu
from hvolab_kernel.running.handlers import HANDLERS
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FOLIOS, X86, machine_for

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

PAGE = 4096


def test_every_action_has_a_handler() -> None:
    assert set(HANDLERS) == set(StubAction)
    assert all(handler.__doc__ for handler in HANDLERS.values())


@X86
def test_a_function_is_handled_with_its_arguments_and_their_signs(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    order, noise = Argument("order", 4), 0xDEAD << 32
    allocate = Stub("alloc_pages", StubAction.ALLOCATE, (Argument("gfp", 4), order, Argument("node", 4, signed=True)))
    for register, value in zip(cpu._arguments, (0xCC0 | noise, 1 | noise, 0), strict=False):
        cpu._registers.write(register, value)
    events: list[Event] = []
    with machine.trace.listen(events.append):
        page = cpu._handlers.for_function(allocate)()
        assert page is not None
        cpu._registers.write(cpu._arguments[0], page)
        free = Stub("__free_pages", StubAction.FREE, (Argument("page"), order))
        assert cpu._handlers.for_function(free)() is None
    allocated, freed = (event for event in events if not isinstance(event, Stored))  # the reference of a page
    assert isinstance(allocated, PagesAllocated)
    assert isinstance(freed, PagesFreed)
    assert (allocated.gfp, allocated.order, allocated.node) == (0xCC0, 1, 0)
    assert allocated.pfns.tolist() == freed.pfns.tolist() == [machine.struct_pages.pfn(page)]


@X86
def test_flush_instructions_complete_at_the_barrier_with_consecutive_pages_as_a_range(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    va, register = machine.struct_pages.base, cpu._arguments[0]
    page = Stub("tlbi vaale1is", StubAction.FLUSH_PAGE_BEGUN, (Argument("va", page=True),))
    flush_page = cpu._handlers.for_instruction(page, [register])
    events: list[Event] = []
    with machine.trace.listen(events.append):
        for number in (0, 1, 2, 7):
            cpu._registers.write(register, va + number * PAGE >> 12)
            assert flush_page() is None
        cpu._handlers.for_instruction(Stub("tlbi vmalle1is", StubAction.FLUSH_ALL_BEGUN), [])()
        assert events == []
        cpu._handlers.for_instruction(Stub("dsb ish", StubAction.FLUSHES_DONE), [])()
    ranges = [(va, va + 3 * PAGE), (va + 7 * PAGE, va + 8 * PAGE)]
    assert [(one.start, one.end) for one in events if isinstance(one, RangeFlushed)] == ranges
    assert isinstance(events[-1], AllFlushed)
    assert not cpu._handlers.pending


@X86
def test_a_store_changes_the_static_key_only_at_its_address(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    key = cpu._handlers.key
    assert key is not None
    address, value = cpu._arguments[:2]
    stub = Stub("stxr", StubAction.KEY_STORED, (Argument("address"), Argument("value", 4, signed=True)))
    stored, zeroed = (
        cpu._handlers.for_instruction(stub, registers) for registers in ([address, value], [address, None])
    )
    events: list[Event] = []
    with machine.trace.listen(events.append):
        for to, new in ((key + 8, 5), (key, 2)):
            cpu._registers.write(address, to)
            cpu._registers.write(value, new)
            stored()
        cpu.loaded.write(key, 4, 2)
        zeroed()
    assert [one.delta for one in events if isinstance(one, KeyChanged)] == [2, -2]
    assert machine.key == 0


@pytest.mark.slow
@X86
def test_a_compound_page_is_allocated_with_a_reference_and_freed_whole(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    pages = FolioPages(machine, machine.cpus[0])
    count, gfp, node = Argument("count"), Argument("gfp", 4), Argument("node", 4, signed=True)
    for stub, values in (
        (Stub("alloc_pages", StubAction.ALLOCATE, (gfp, Argument("order", 4), node)), (0x40CC0, 3, 0)),
        (Stub("alloc_contig", StubAction.ALLOCATE_CONTIGUOUS, (count, gfp, node)), (8, 0x40CC0, 0)),
    ):
        for register, value in zip(cpu._arguments, values, strict=False):
            cpu._registers.write(register, value)
        page = cpu._handlers.for_function(stub)()
        assert page is not None
        pfn = machine.struct_pages.pfn(page)
        assert (machine.struct_pages.order(pfn), pages.refcount(page)) == (3, 1)
        cpu._registers.write(cpu._arguments[0], page)
        events: list[Event] = []
        with machine.trace.listen(events.append):
            cpu._handlers.for_function(Stub("__folio_put", StubAction.FREE_FOLIO, (Argument("folio"),)))()
        (freed,) = (one for one in events if isinstance(one, PagesFreed))
        assert (freed.pfns.tolist(), freed.order) == ([pfn], 3)


def allocator(cpu: KernelCpu, size: int) -> Callable[[], int | None]:
    """The handler of an allocation of objects, with its register of that size."""
    cpu._registers.write(cpu._arguments[2], size)
    arguments = (Argument("cache"), Argument("gfp", 4), Argument("size"))
    return cpu._handlers.for_function(Stub("__kmalloc_cache_noprof", StubAction.ALLOCATE_OBJECT, arguments))


@X86
def test_objects_have_places_of_their_own_until_the_region_is_full(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    allocate = allocator(cpu, 100)
    first, second = allocate(), allocate()
    assert first is not None
    assert second == first + 128
    assert cpu.loaded.holds(second, 100)
    cpu._registers.write(cpu._arguments[2], 1 << 20)
    assert allocate() == 0


def _called(cpu: KernelCpu, function: str, action: StubAction, *values: int) -> int | None:
    """Call a handler as the table of stubs has it, with these registers."""
    stub = next(one for one in STUBS if one.function == function)
    assert stub.action is action
    for register, value in zip(cpu._arguments, values, strict=False):
        cpu._registers.write(register, value)
    return cpu._handlers.for_function(stub)()


@FOLIOS
def test_frames_are_allocated_into_an_array_or_a_list_until_one_cannot_be(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    loaded, name = cpu.loaded, "alloc_pages_bulk_noprof"
    array = loaded.data.va
    prototype = real_kernel.types.prototype(name)
    assert prototype is not None
    lists = len(prototype.parameters) == 6
    loaded.write(array + 8, 8, 1)  # a place that is taken
    assert isinstance(machine.frames, FrameAllocator)
    machine.frames.failure = FailFrom(3)
    places = (0, array) if lists else (array, 0)
    assert _called(cpu, name, StubAction.ALLOCATE_BULK, 0xCC0, 0, 0, 5, *places) == 3
    pages = [loaded.read(array + 8 * index, 8) for index in range(5)]
    assert (pages[1], pages[3:]) == (1, [0, 0])
    assert {machine.frames.order_of(machine.struct_pages.pfn(page)) for page in (pages[0], pages[2])} == {0}
    if lists:
        machine.frames.failure = NeverFail()
        head = array + 64
        for place in (head, head + 8):
            loaded.write(place, 8, head)
        assert _called(cpu, name, StubAction.ALLOCATE_BULK, 0xCC0, 0, 0, 2, head, 0) == 2
        first = loaded.read(head, 8)
        second = machine.cpus[0].load_word(first)
        assert machine.cpus[0].load_word(second) == head
        assert loaded.read(head + 8, 8) == second


@X86
def test_objects_have_memory_of_their_own_until_the_call_ends(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    one, other = (_called(cpu, "__kmalloc_noprof", StubAction.ALLOCATE_SIZED, 100, 0xCC0) for _ in range(2))
    assert one is not None
    assert other == one + 128
    assert cpu.loaded.read(one, 8) == 0
    assert _called(cpu, "__kmalloc_noprof", StubAction.ALLOCATE_SIZED, 1 << 20, 0xCC0) == 0


@X86
def test_a_plugin_performs_a_function_with_six_arguments(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    seen: list[object] = []

    def handler(*arguments: object) -> int:
        seen.extend(arguments)
        return 7

    arguments = tuple(Argument(f"argument {number}") for number in range(6))
    for register, value in zip(cpu._arguments, range(6), strict=True):
        cpu._registers.write(register, value)
    stub = Stub("shrink_slab", StubAction.PLUGIN, arguments, handler)
    assert cpu._handlers.for_function(stub)() == 7
    assert seen == [machine, *range(6)]


@X86
def test_objects_without_reclaim_are_kept_after_the_call_or_fail(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    allocate = allocator(cpu, 16)
    places = {allocate() for _ in range(64)}
    assert len(places) == 64
    assert allocate() in places  # the region begins again
    cpu._prepare(())
    cpu._registers.write(cpu._arguments[2], 16)
    assert allocate() == sorted(filter(None, places))[1]
    cpu.fail_atomic(fails=True)
    assert allocate() == 0
    cpu._registers.write(cpu._arguments[1], int(Gfp.DIRECT_RECLAIM))
    assert allocate() not in {0, *places}
