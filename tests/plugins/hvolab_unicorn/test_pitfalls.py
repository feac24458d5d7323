# SPDX-License-Identifier: GPL-2.0-only
"""What is peculiar to unicorn, each handled in one place: a test fails where another release does otherwise."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab.arch.steps import RESULT
from hvolab.errors import MachineError
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from tests.plugins.hvolab_unicorn.raw import cpu_of, raw_fault
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, lab, pages

unicorn = pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


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
        assert int.from_bytes(vcpu.area.view(va + RESULT, 8), "little") == va
    with pytest.raises(MachineError, match="another guest text"):
        emulate(machine)
    text[:] = kept
    assert emulate(machine)[0].load_word(va) == va


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
