# SPDX-License-Identifier: GPL-2.0-only
"""Results of calls: every status, with place, backtrace and warnings."""

from __future__ import annotations

import pytest

from hvolab.errors import KernelBug
from hvolab.hugetlb import Pool
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.struct_pages import lists
from hvolab.trace import Event, Warned
from hvolab_kernel.running import CallStatus, KernelCpu, KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import (
    EACH,
    EACH_6_12,
    FOLIOS,
    X86,
    huge_pages,
    machine_for,
    optimized,
)

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

#: Kernel: REFCOUNT_SUB_UAF in include/linux/refcount.h, v6.12.
SUB_UAF = 3


@EACH_6_12
def test_a_fault_has_the_architectures_record_the_function_and_its_callers(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelHvo(machine, real_kernel).kernel_cpu
    nowhere = machine.struct_pages.base - (1 << 30)
    result = cpu.call("hugetlb_vmemmap_optimize_folio", cpu.loaded.data.va, nowhere)
    assert result.status is CallStatus.FAULT
    assert result.fault is not None
    assert result.fault.va - nowhere in range(64)
    assert result.place.startswith("vmemmap_should_optimize_folio+")
    assert any("hugetlb_vmemmap_optimize_folio+" in frame for frame in result.backtrace)
    with pytest.raises(KernelBug, match="faulted at vmemmap_should_optimize_folio"):
        result.required()


@FOLIOS
def test_a_corrupt_list_runs_into_the_kernels_own_bug(real_kernel: Kernel) -> None:
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
    assert hvo.last.status is CallStatus.BUG
    assert any("hugetlb_vmemmap_restore_folios" in frame for frame in hvo.last.backtrace)


@EACH_6_12
def test_a_warning_is_a_finding_with_its_line_and_the_call_continues(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    count = cpu.loaded.data.va
    cpu.loaded.write(count, 4, 0x1234)
    restore = cpu.loaded.memory.save()
    result = cpu.call("refcount_warn_saturate", count, SUB_UAF)
    assert result.returned
    assert cpu.loaded.read(count, 4) == 0xC0000000  # REFCOUNT_SATURATED: the call continued after the warning
    printed, warned = result.findings
    assert "refcount_t: underflow; use-after-free." in printed
    assert warned.startswith("WARN at refcount_warn_saturate+")
    verbose = real_kernel.types.has_member("bug_entry", "line")
    assert ("(lib/refcount.c:" in warned) is verbose
    assert warned.count("refcount_warn_saturate+") == 1
    assert cpu.call("refcount_warn_saturate", count, SUB_UAF).findings == ()  # the kernel's own "once"
    restore()
    assert cpu.call("refcount_warn_saturate", count, SUB_UAF).findings == result.findings


@EACH_6_12
def test_endless_warnings_are_a_loop(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelCpu(machine, real_kernel)
    count = cpu.loaded.data.va
    warned = cpu.call("refcount_warn_saturate", count, SUB_UAF).findings[-1]
    offset = int(warned.split("+")[1].split()[0], 16)
    machine = build_machine(machine.target, MachineSpec(memory=64 << 20))  # with a lower limit of warnings
    cpu = KernelCpu(machine, real_kernel)  # without translated code
    code, jump = {
        "EM_X86_64": (b"\x0f\x0b", b"\xeb\xfc"),
        "EM_RISCV": (b"\x02\x90", b"\xfd\xbf"),
        "EM_AARCH64": (b"\x00\x00\x21\xd4", b"\xff\xff\xff\x17"),
    }[real_kernel.image.machine]
    place = real_kernel.symbols.address("refcount_warn_saturate") + offset
    assert cpu.loaded.read(place, len(code)) == int.from_bytes(code, "little")
    cpu.loaded.replace(place + len(code), jump)  # back to the instruction that warns
    result = cpu.call("refcount_warn_saturate", count, SUB_UAF)
    assert result.status is CallStatus.STUCK
    assert "warnings" in result.what
    assert result.place == f"refcount_warn_saturate+{offset:#x}"
    assert result.findings[-1].startswith(warned)
    assert result.findings[-1].endswith(" times")


@X86
def test_a_warning_of_hvo_has_its_callers_and_is_emitted(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = optimized(real_kernel)
    # a dirty entry that is not writable belongs to a shadow stack, which the kernel warns about
    loaded, mask = hvo.kernel_cpu.loaded, real_kernel.symbols.address("__default_kernel_pte_mask")
    loaded.write(mask, 8, loaded.read(mask, 8) & ~(1 << 1))
    events: list[Event] = []
    with machine.trace.listen(events.append):
        assert hvo.restore_folio(pool.h, folio) == 0
    assert hvo.last is not None
    (warned,) = hvo.last.findings
    assert warned.startswith("WARN at vmemmap_restore_pte+")
    assert "(mm/hugetlb_vmemmap.c:" in warned
    assert " < __hugetlb_vmemmap_restore_folio+" in warned
    assert warned.endswith(", 7 times")  # one for each tail
    assert [event.text for event in events if isinstance(event, Warned)] == [warned]
    assert not hvo.folio_optimized(folio)


@EACH
def test_a_function_without_a_stub_stops_the_call_and_a_printed_message_is_a_finding(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    result = cpu.call("panic")
    assert result.status is CallStatus.STOPPED
    assert result.what == "panic() was called"
    assert str(result) == "panic called a kernel function that has no stub at panic: panic() was called"
    result = cpu.call("_printk", real_kernel.symbols.address("linux_banner"))
    assert result.returned
    assert "_printk() was called" in result.findings[0]
