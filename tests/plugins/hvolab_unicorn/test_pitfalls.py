"""What is peculiar to unicorn, each handled in one place: a test fails where another release does otherwise."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from hvolab.arch import PageFault, PgprotRole
from hvolab.arch.steps import RESULT
from hvolab.errors import MachineError
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.families import family_of
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, lab, pages, target_of

unicorn = pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
arm64_const, riscv_const, x86_const = (
    pytest.importorskip(f"unicorn.{name}_const") for name in ("arm64", "riscv", "x86")
)
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


def test_x86_takes_the_second_fault_for_a_double_fault_unless_a_clean_state_is_restored() -> None:
    cpu = cpu_of("x86_64")
    va = unmapped(cpu)
    assert [raw_fault(cpu.vcpu, va) for _ in range(3)] == [14, 8, None]
    cpu.vcpu.uc.context_restore(cpu.vcpu._clean)
    for _ in range(5):
        with pytest.raises(PageFault) as caught:
            cpu.load_word(va)
        assert dict(caught.value.fault.syndrome)["vector"] == 14


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_handler_takes_a_thousand_faults_in_a_row(architecture: str) -> None:
    cpu = cpu_of(architecture, handler=True)
    va = unmapped(cpu)
    seen = set()
    for _ in range(1000):
        with pytest.raises(PageFault) as caught:
            cpu.store_word(va, 1)
        seen.add(caught.value.fault)
    assert len(seen) == 1
    assert cpu.load_word(cpu.vcpu.area.block) == cpu.vcpu.area.block


def test_arm64_fetches_nothing_with_the_mmu_on_unless_el1_is_told_to_be_64_bit() -> None:
    machine = build_machine(target_of(MODES["arm64"]), MachineSpec(memory=64 * MIB))
    part = machine.target.architecture.emulation
    assert part is not None
    settings = part.registers(machine.target, machine.tables.root)
    assert settings[0].at == (3, 6, 1, 1, 0)
    assert settings[0].value == 1 << 10
    for skipped, numbers in ((1, [3]), (0, [])):
        uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        uc.ctl_set_page_size(4096)
        uc.ctl_set_cpu_model(arm64_const.UC_CPU_ARM64_MAX)
        uc.mem_map_ptr(machine.memory.base, machine.memory.size, 7, machine.memory.octets.ctypes.data)
        for setting in settings[skipped:]:
            uc.cpr_write(*setting.at, setting.value)
        assert machine.guest is not None
        machine.memory.write_word(machine.guest.text[0] << 12, 0xD503201FD503201F)  # two nops
        seen: list[int] = []

        def stop(emulator: Any, number: int, _: object, seen: list[int] = seen) -> None:
            seen.append(number)
            emulator.emu_stop()

        uc.hook_add(unicorn.UC_HOOK_INTR, stop)
        uc.emu_start(machine.guest.text_va, machine.guest.text_va + 4)
        assert seen == numbers


def test_arm64_is_told_the_page_size_and_only_arm64_can_be() -> None:
    """Pages of 1 KiB are its default: then every page of 4 KiB is a large one, and each flush forgets all."""
    assert cpu_of("arm64").vcpu.uc.ctl_get_page_size() == 4096
    assert family_of("UC_ARCH_ARM64").sets_page_size
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    with pytest.raises(unicorn.UcError):
        uc.ctl_set_page_size(16384)


def test_riscv_reports_a_pc_that_is_four_beyond_the_fault() -> None:
    cpu = cpu_of("riscv")
    with pytest.raises(PageFault) as caught:
        cpu.load_word(unmapped(cpu))
    sepc = dict(caught.value.fault.syndrome)["sepc"]
    routine = cpu.vcpu.routines["load"]
    # six loads of arguments, then the one that faults
    assert sepc == routine.begin + 6 * 4
    handled = cpu_of("riscv", handler=True)
    with pytest.raises(PageFault) as caught:
        handled.load_word(unmapped(handled))
    assert dict(caught.value.fault.syndrome)["sepc"] == sepc


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_translated_code_outlives_the_text_it_was_made_from(architecture: str) -> None:
    """So guest text is written once: a change may go unseen, and a CPU that finds another text refuses it."""
    machine, cpu = lab(architecture)
    vcpu, memory = cpu.vcpu, machine.memory
    va = vcpu.area.block
    assert [cpu.load_word(va) for _ in range(2)] == [va, va]
    guest = machine.guest
    assert guest is not None
    text = memory.view(guest.text[0] << memory.page_shift, 4096)
    kept = text.copy()
    text[0x400:] = 0
    if architecture == "x86_64":
        assert raw_fault(vcpu, va) is None
        assert vcpu.area.word(va + RESULT) == va
    with pytest.raises(MachineError, match="another guest text"):
        emulate(machine)
    text[:] = kept
    assert emulate(machine)[0].load_word(va) == va


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_cpu_takes_little_of_the_hosts_address_space(architecture: str) -> None:
    """unicorn reserves 1 GiB for translated code unless it is told otherwise."""
    machine = build_machine(target_of(MODES[architecture]), MachineSpec(memory=64 * MIB))
    emulate(machine)
    before = _status("VmSize")
    kept = [EmulatedCpu(machine, 0) for _ in range(4)]
    assert (_status("VmSize") - before) // len(kept) < 128 << 10


def faults(cpu: EmulatedCpu) -> bool:
    """Whether a load where nothing is mapped faults; the exception, which holds frames, is gone."""
    try:
        cpu.load_word(unmapped(cpu))
    except PageFault:
        return True
    return False


def _status(name: str) -> int:
    """KiB that the host's kernel tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("handler", [False, True])
def test_a_cpu_that_nobody_holds_is_gone_at_once(architecture: str, handler: bool) -> None:  # noqa: FBT001
    """A hook holds the emulator that holds it: here it does not, and no collection is needed."""
    cpu = cpu_of(architecture, handler=handler)
    assert faults(cpu)
    emulator, whole = weakref.ref(cpu.vcpu.uc), weakref.ref(cpu)
    gc.disable()
    try:
        del cpu
        assert whole() is None
        assert emulator() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("architecture", "bits"), [("x86_64", 0x60), ("riscv", 0xC0)])
def test_walks_set_accessed_and_dirty(architecture: str, bits: int) -> None:
    """As x86_64's do; on riscv that is Svadu, and declared where the target has it otherwise."""
    machine, cpu = lab(architecture)
    mode = machine.target.mode
    va = cpu.vcpu.area.text_va + 32 * mode.page_size
    pfn = (pages(machine, 1)[0] - machine.virt(0)) >> mode.page_shift
    slot = machine.tables.find(va).slot
    machine.memory.write_word(slot, machine.target.leaf(mode.last.name, pfn, PgprotRole.KERNEL) & ~bits)
    cpu.load_word(va)
    assert machine.memory.read_word(slot) & bits == bits & -bits
    cpu.store_word(va, 1)
    assert machine.memory.read_word(slot) & bits == bits
    told = any("set A and D" in text for text in cpu.vcpu.part.differences(machine.target))
    assert told is (architecture == "riscv")
    with_svadu = registry().architecture("riscv").select(features=("svadu",))
    assert not any("set A and D" in text for text in cpu_of("riscv").vcpu.part.differences(with_svadu))


def test_the_constants_that_settings_name_are_the_emulators() -> None:
    assert x86_const.UC_X86_REG_CR3
    assert riscv_const.UC_RISCV_REG_PRIV
