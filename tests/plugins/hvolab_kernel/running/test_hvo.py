"""A kernel's own functions run beside a machine, and what goes wrong in them is told by symbol and backtrace."""

from __future__ import annotations

import weakref

import pytest

from hvolab.arch import PageFault
from hvolab.errors import HvolabError, KernelBug, UsageError
from hvolab.hugetlb import Hstate, Pool, hstates
from hvolab.hugetlb.hstate import size_to_hstate
from hvolab.hvo import V6_12_117, Hvo
from hvolab.invariants import Monitor, check
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine
from hvolab.machine.struct_pages import lists
from hvolab.plugin import registry
from hvolab.trace import Event, KeyChanged, RangeFlushed, Warned
from hvolab_kernel import make_engine
from hvolab_kernel.code.calls import callees
from hvolab_kernel.code.inline import inline_of
from hvolab_kernel.code.stubs import StubAction
from hvolab_kernel.comparison import target_of
from hvolab_kernel.identify.variants import variant_of
from hvolab_kernel.running import CallStatus, KernelCpu, KernelHvo
from hvolab_unicorn.emulator.library import translate
from hvolab_vmlinux.kernel import Kernel

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

EACH = pytest.mark.parametrize(
    "real_kernel", ["x86_64-6.12", "riscv64-6.12", "arm64-6.12-hvo", "arm64-6.12-hvo-plain"], indirect=True
)
ARM64 = pytest.mark.parametrize("real_kernel", ["arm64-6.12-hvo", "arm64-6.12-hvo-plain"], indirect=True)
#: Debian's, whose configuration has BUG_ON_DATA_CORRUPTION.
DEBIANS = pytest.mark.parametrize("real_kernel", ["x86_64-6.12", "riscv64-6.12"], indirect=True)
X86 = pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)
SIZE = 2 << 20
NOP = bytes.fromhex("1f2003d5")


def machine_for(kernel: Kernel, mode: str | None = None) -> Machine:
    return build_machine(target_of(kernel, mode), MachineSpec(memory=512 << 20))


def huge_pages(machine: Machine) -> Hstate:
    return size_to_hstate(hstates(machine), SIZE)


def unoptimized(machine: Machine) -> tuple[Hstate, int]:
    """A free huge page that is not optimized, of a machine whose switch is on."""
    pool = Pool(machine, huge_pages(machine), Hvo(machine))
    machine.optimize_enabled = False
    pool.set_max_huge_pages(1)
    machine.optimize_enabled = True
    (folio,) = pool.free_folios()
    return pool.h, folio


@EACH
def test_a_pool_grows_and_shrinks_on_the_kernels_code_and_leaves_the_engines_bytes(real_kernel: Kernel) -> None:
    left = []
    for make in (lambda m: Hvo(m, variant=variant_of(real_kernel)), lambda m: KernelHvo(m, real_kernel)):
        machine = machine_for(real_kernel)
        pool = Pool(machine, huge_pages(machine), make(machine))
        monitor = Monitor(machine)
        with monitor.watch():
            pool.set_max_huge_pages(70)
            assert machine.key == 70
            assert not check(machine, [pool])
            pool.set_max_huge_pages(0)
        broken = {finding.rule for finding in monitor.findings}  # on arm64 live entries are replaced, as declared
        assert all(finding.declared for finding in monitor.findings)
        assert not check(machine, [pool])
        assert isinstance(machine.frames, FrameAllocator)
        mapped = machine.tables.frames(machine.struct_pages.base, 9).tolist()
        left.append((machine.counters, machine.frames.free_frames, mapped, broken))
    assert left[0] == left[1]


@EACH
def test_a_fault_is_the_architectures_with_the_function_and_those_that_called_it(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelHvo(machine, real_kernel).kernel_cpu
    nowhere = machine.struct_pages.base - (1 << 30)
    outcome = cpu.call("hugetlb_vmemmap_optimize_folio", cpu.placed.data.va, nowhere)
    assert outcome.ending is CallStatus.FAULT
    assert outcome.fault is not None
    assert outcome.fault.va - nowhere in range(64)
    assert outcome.place.startswith("vmemmap_should_optimize_folio+")
    assert any("hugetlb_vmemmap_optimize_folio+" in frame for frame in outcome.backtrace)
    with pytest.raises(KernelBug, match="faulted at vmemmap_should_optimize_folio"):
        outcome.required()


@DEBIANS
def test_a_corrupt_list_ends_at_the_kernels_own_bug(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    hvo = KernelHvo(machine, real_kernel)
    pool = Pool(machine, huge_pages(machine), hvo)
    pool.set_max_huge_pages(2)
    first, second = pool.free_folios()
    head = pool.new_list(0)
    lru = machine.struct_pages.layout.lru_next
    hvo.restore_folio(pool.h, second)
    lists.init(machine.cpus[0], head)
    machine.cpus[0].store_word(head, second + lru)  # but nothing leads back
    machine.cpus[0].store_word(second + lru, first + lru)
    with pytest.raises(KernelBug, match=r"ran into a BUG\(\) at .*: (ud2|c?\.?ebreak|brk #0x800)"):
        hvo.restore_folios(pool.h, head, pool.new_list(1))
    assert hvo.last is not None
    assert hvo.last.ending is CallStatus.BUG
    assert any("hugetlb_vmemmap_restore_folios" in frame for frame in hvo.last.backtrace)


@EACH
def test_a_loop_that_does_not_end_is_stopped_by_count_at_the_same_instruction_each_time(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    machine.optimize_enabled = False
    head = machine.kernel_data(lists.SIZE)
    folio = machine.struct_pages.va(machine.memory.first_pfn + 1024)
    lru = machine.struct_pages.layout.lru_next
    machine.cpus[0].store_word(head, folio + lru)
    machine.cpus[0].store_word(folio + lru, folio + lru)  # it leads to itself
    ended = []
    for instructions in (300_000, 300_000, 300_001):
        cpu = KernelCpu(machine, real_kernel, instructions=instructions)
        outcomes = [cpu.call("hugetlb_vmemmap_optimize_folios", cpu.placed.data.va, head) for _ in range(2)]
        assert outcomes[0] == outcomes[1]
        ended.append(outcomes[0])
    assert ended[0] == ended[1]
    assert ended[0].place != ended[2].place  # one instruction further
    for outcome in ended:
        assert outcome.ending is CallStatus.STUCK
        assert any(frame.startswith("hugetlb_vmemmap_optimize_folios+") for frame in outcome.backtrace)
        assert sum(line.startswith("-> ") for line in outcome.disassembly) == 1
    with pytest.raises(KernelBug, match=r"was stopped after 300,000 instructions.*-> "):
        ended[0].required()


@EACH
def test_a_call_that_ends_is_not_stopped_short_of_its_last_instruction(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    few, most = 1, 1 << 16  # how many a folio that is not to be optimized takes, closer and closer
    machine.optimize_enabled = False
    folio = machine.struct_pages.va(machine.memory.first_pfn + 1024)
    cpu = KernelCpu(machine, real_kernel)
    assert cpu.instructions > most
    while most - few > 1:
        cpu.instructions = (few + most) // 2
        if cpu.call("hugetlb_vmemmap_optimize_folio", cpu.placed.data.va, folio).returned:
            most = cpu.instructions
        else:
            few = cpu.instructions
    assert 10 < most < 200
    cpu.instructions = most - 1
    assert cpu.call("hugetlb_vmemmap_optimize_folio", cpu.placed.data.va, folio).ending is CallStatus.STUCK


#: Kernel: REFCOUNT_SUB_UAF in include/linux/refcount.h, v6.12.
SUB_UAF = 3


@EACH
def test_a_warning_is_noted_with_its_line_and_the_call_goes_on(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    count = cpu.placed.data.va
    cpu.placed.write(count, 4, 0x1234)
    outcome = cpu.call("refcount_warn_saturate", count, SUB_UAF)
    assert outcome.returned
    assert cpu.placed.read(count, 4) == 0xC0000000  # REFCOUNT_SATURATED: it went on behind the instruction that warns
    printed, warned = outcome.findings
    assert "refcount_t: underflow; use-after-free." in printed
    assert warned.startswith("WARN at refcount_warn_saturate+")
    verbose = real_kernel.types.has_member("bug_entry", "line")
    assert ("(lib/refcount.c:" in warned) is verbose
    assert warned.count("refcount_warn_saturate+") == 1
    assert cpu.call("refcount_warn_saturate", count, SUB_UAF).findings == ()  # the kernel's own "once"
    cpu.placed.reset()
    assert cpu.call("refcount_warn_saturate", count, SUB_UAF).findings == outcome.findings


@EACH
def test_warnings_without_end_are_a_loop(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    count = cpu.placed.data.va
    warned = cpu.call("refcount_warn_saturate", count, SUB_UAF).findings[-1]
    offset = int(warned.split("+")[1].split()[0], 16)
    machine = build_machine(machine.target, MachineSpec(memory=64 << 20))  # on which fewer warnings can be right
    cpu = KernelCpu(machine, real_kernel)  # which has translated nothing yet
    code, jump = {
        "EM_X86_64": (b"\x0f\x0b", b"\xeb\xfc"),
        "EM_RISCV": (b"\x02\x90", b"\xfd\xbf"),
        "EM_AARCH64": (b"\x00\x00\x21\xd4", b"\xff\xff\xff\x17"),
    }[real_kernel.image.machine]
    place = real_kernel.symbols.address("refcount_warn_saturate") + offset
    assert cpu.placed.read(place, len(code)) == int.from_bytes(code, "little")
    cpu.placed.replace(place + len(code), jump)  # back to the instruction that warns
    outcome = cpu.call("refcount_warn_saturate", count, SUB_UAF)
    assert outcome.ending is CallStatus.STUCK
    assert "warnings" in outcome.what
    assert outcome.place == f"refcount_warn_saturate+{offset:#x}"
    assert outcome.findings[-1].startswith(warned)
    assert outcome.findings[-1].endswith(" times")


@X86
def test_a_warning_of_hvos_is_told_with_those_that_called(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    hvo = KernelHvo(machine, real_kernel)
    pool = Pool(machine, huge_pages(machine), hvo)
    pool.set_max_huge_pages(1)
    (folio,) = pool.free_folios()
    # an entry that is dirty and cannot be written to is one of a shadow stack, of which the kernel warns
    placed, mask = hvo.kernel_cpu.placed, real_kernel.symbols.address("__default_kernel_pte_mask")
    placed.write(mask, 8, placed.read(mask, 8) & ~(1 << 1))
    heard: list[Event] = []
    with machine.trace.listen(heard.append):
        assert hvo.restore_folio(pool.h, folio) == 0
    assert hvo.last is not None
    (warned,) = hvo.last.findings
    assert warned.startswith("WARN at vmemmap_restore_pte+")
    assert "(mm/hugetlb_vmemmap.c:" in warned
    assert " < __hugetlb_vmemmap_restore_folio+" in warned
    assert warned.endswith(", 7 times")  # once for each tail, whatever the kernel keeps to itself of them
    assert [event.text for event in heard if isinstance(event, Warned)] == [warned]
    assert not hvo.folio_optimized(folio)


@EACH
def test_what_nobody_can_answer_for_stops_the_call_and_what_is_printed_is_noted(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    outcome = cpu.call("panic")
    assert outcome.ending is CallStatus.STOPPED
    assert outcome.what == "panic() was called"
    outcome = cpu.call("_printk", real_kernel.symbols.address("linux_banner"))
    assert outcome.returned
    assert "_printk() was called" in outcome.findings[0]


@X86
def test_a_kernel_runs_on_a_machine_of_its_architecture_only(real_kernel: Kernel) -> None:
    machine = build_machine(registry().architecture("riscv").select("Sv39"), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="does not run on riscv"):
        KernelHvo(machine, real_kernel)


@X86
def test_the_emulator_goes_when_nobody_has_the_cpu_any_more(real_kernel: Kernel) -> None:
    hvo = KernelHvo(machine_for(real_kernel), real_kernel)
    gone = weakref.ref(hvo.kernel_cpu)
    del hvo
    assert gone() is None


def test_the_kind_of_engine_asks_for_an_image() -> None:
    assert registry().engines()["kernel"] is make_engine
    machine = build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="requires an image"):
        make_engine(machine, None)
    with pytest.raises(HvolabError, match="no kind of engine is called 'none'"):
        registry().engine("none")


def one_that_restores_copies(kernel: Kernel) -> tuple[Machine, KernelHvo, Pool, int]:
    """A machine, a kernel of variant 6.12.117, its pool, and the VA of the only folio, which it has optimized."""
    if variant_of(kernel) is not V6_12_117:
        pytest.skip("this kernel resets the struct pages that it restores; Debian's 6.12.117 does not")
    machine = machine_for(kernel)
    hvo = KernelHvo(machine, kernel)
    pool = Pool(machine, huge_pages(machine), hvo)
    pool.set_max_huge_pages(1)
    (folio,) = pool.free_folios()
    return machine, hvo, pool, folio


@EACH
def test_what_6_12_117_restores_is_no_tail_where_a_page_of_vmemmap_begins(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = one_that_restores_copies(real_kernel)
    assert not check(machine, [pool])
    assert hvo.restore_folio(pool.h, folio) == 0
    broken = [finding.what for finding in check(machine, [pool])]
    pages = machine.target.mode.page_size // machine.struct_pages.layout.size
    for tail in range(pages, 1 << pool.h.order, pages):
        assert any(what.startswith(f"tail {tail} of folio") and "does not point to its head" in what for what in broken)


@ARM64
def test_flushes_by_instructions_reach_every_cpu_and_are_told_as_the_functions_are(real_kernel: Kernel) -> None:
    machine = build_machine(target_of(real_kernel), MachineSpec(memory=512 << 20, cpus=2))
    h, folio = unoptimized(machine)
    tail = folio + machine.target.mode.page_size
    for cpu in machine.cpus:
        cpu.store_word(tail, cpu.load_word(tail))  # each holds a translation that can be written through
    hvo = KernelHvo(machine, real_kernel)
    told: list[Event] = []
    with machine.trace.listen(told.append):
        hvo.optimize_folio(h, folio)
    assert hvo.folio_optimized(folio)
    size, leaf = machine.target.mode.page_size, machine.target.mode.levels[-2].size
    flushed = [(one.start, one.end) for one in told if isinstance(one, RangeFlushed)]
    block = folio // leaf * leaf
    assert flushed == [(block, block + leaf), (folio, folio + hvo.sizes(h).pages * size)]
    assert [one.delta for one in told if isinstance(one, KeyChanged)] == [1]
    assert hvo.last is not None
    assert hvo.last.findings == ()
    for cpu in machine.cpus:
        with pytest.raises(PageFault):
            cpu.store_word(tail, 0)


@ARM64
@pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "left out"])
def test_the_cpu_that_runs_the_code_flushes_by_the_instructions_themselves(
    real_kernel: Kernel, *, carried_out: bool
) -> None:
    machine = machine_for(real_kernel)
    h, folio = unoptimized(machine)
    before = machine.tables.frame_of(folio)
    hvo = KernelHvo(machine, real_kernel)
    for one in hvo.kernel_cpu.inline:
        if not carried_out and one.stub.function.startswith("tlbi"):
            hvo.kernel_cpu.placed.replace(one.va, NOP)
    hvo.optimize_folio(h, folio)
    after = machine.tables.frame_of(folio)
    assert after != before
    pa = translate(hvo.kernel_cpu._uc, folio, protection=1)  # it has read the head before that moved
    assert pa is not None
    assert pa >> machine.target.mode.page_shift == (after if carried_out else before)


@EACH
def test_the_kernels_static_key_counts_from_where_the_machines_is(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    h, folio = unoptimized(machine)
    hvo = KernelHvo(machine, real_kernel)
    Hvo(machine, variant=variant_of(real_kernel)).optimize_folio(
        h, folio
    )  # of which the kernel's own key knows nothing
    assert hvo.restore_folio(h, folio) == 0
    assert machine.key == 0
    hvo.optimize_folio(h, folio)
    assert machine.key == 1


@ARM64
def test_flushes_that_no_barrier_completes_are_a_finding(real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    without = tuple(one for one in inline_of(real_kernel) if one.stub.action is not StubAction.FLUSHES_DONE)
    monkeypatch.setattr("hvolab_kernel.running.kernel_cpu.inline_of", lambda _: without)
    machine = machine_for(real_kernel)
    hvo = KernelHvo(machine, real_kernel)
    hvo.optimize_folio(*unoptimized(machine))
    assert hvo.last is not None
    assert hvo.last.findings == ("TLB flushes were begun, and no barrier completed them",)


@DEBIANS
def test_freeing_repairs_of_them_what_makes_a_tail_but_not_type_and_flags_of_hugetlb(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = one_that_restores_copies(real_kernel)
    assert hvo.restore_folio(pool.h, folio) == 0
    layout, load = machine.struct_pages.layout, machine.cpus[0].load_word
    copies = range(folio + 4096, folio + (layout.size << pool.h.order), 4096)
    hugetlb = layout.page_type_hugetlb << 24

    def words(offset: int) -> set[int]:
        return {load(page + offset) for page in copies}

    def types() -> set[int]:
        return {word & 0xFFFFFFFF for word in words(layout.page_type)}

    assert words(layout.flags) == {load(folio + layout.flags)}
    assert types() == {hugetlb}
    # what __update_and_free_hugetlb_folio() calls behind hugetlb_vmemmap_restore_folio() ends in the page allocator
    called = callees(real_kernel, "__update_and_free_hugetlb_folio")
    assert {"hugetlb_vmemmap_restore_folio", "__folio_put"} <= called
    assert not [name for name in called if "init" in name or "prep" in name or "reset" in name]
    assert hvo.kernel_cpu.call("free_pages_prepare", folio, pool.h.order).required().result & 0xFF == 1
    assert not any(word >> layout.pg_head & 1 for word in words(layout.flags))
    assert words(layout.compound_head) == words(layout.mapping) == {0}
    assert types() == {hugetlb}
    assert all(word >> layout.hpg_vmemmap_optimized & 1 for word in words(layout.private))
