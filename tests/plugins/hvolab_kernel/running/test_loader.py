# SPDX-License-Identifier: GPL-2.0-only
"""The loader: a kernel image next to a machine."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole
from hvolab.errors import UsageError
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_kernel.comparison.selection import target_of
from hvolab_kernel.running import KernelHvo
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, X86, machine_for
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, flat_image

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@X86
def test_a_kernel_runs_only_on_a_machine_of_its_architecture(real_kernel: Kernel) -> None:
    machine = build_machine(registry().architecture("riscv").select("Sv39"), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="does not run on riscv"):
        KernelHvo(machine, real_kernel)


def test_an_arm64_kernel_of_52_bits_is_refused_with_the_reason() -> None:
    between = tuple(f"between_{number}" for number in range(63))
    symbols = (*HVO_6_12, "reserved_pg_dir", *between, "swapper_pg_dir", "vabits_actual")
    kernel = read_kernel(flat_image(MadeUp("EM_AARCH64", symbols=symbols)), "here")
    machine = build_machine(target_of(kernel), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match=r"runs in the mode 4K-52bit.*has no LPA2.*ARM64_VA_BITS_48"):
        KernelHvo(machine, kernel)


@FETCHED
def test_the_image_the_initial_state_and_replaced_code_are_in_memory(real_kernel: Kernel) -> None:
    loaded = LoadedKernel(machine_for(real_kernel), real_kernel)
    function, switch = map(real_kernel.symbols.address, ("vmemmap_remap_pte", "vmemmap_optimize_enabled"))
    assert loaded.read(function, 8) == real_kernel.image.word(function)
    assert (real_kernel.image.word(switch, 1), loaded.read(switch, 1)) == (0, 1)
    loaded.replace(function, b"\x90\x90")
    assert loaded.read(function, 2) == 0x9090
    assert loaded.read(function + 2, 4) == real_kernel.image.word(function + 2, 4)


@FETCHED
def test_only_text_is_executable_and_the_machines_tables_are_shared(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    loaded = LoadedKernel(machine, real_kernel)
    target = machine.target

    def executable(va: int) -> bool:
        step = loaded.tables.find(va)
        pfn = loaded.tables.frame_of(va)
        assert pfn is not None
        return step.raw == target.leaf(step.level.name, pfn, PgprotRole.KERNEL_EXEC)

    assert executable(real_kernel.symbols.address("vmemmap_remap_pte"))
    assert executable(loaded.exit)
    assert not executable(real_kernel.symbols.address("vmemmap_optimize_enabled"))
    assert not executable(loaded.stack.va)
    va = machine.struct_pages.base
    top = target.mode.levels[0]
    slot = top.index(va) * top.entry_bytes
    assert loaded.memory.read_word(loaded.root + slot) == machine.memory.read_word(machine.tables.root + slot) != 0
    assert loaded.holds(loaded.image.va, 8)
    assert not loaded.holds(va)
    assert loaded.read_text(real_kernel.symbols.address("linux_banner")).startswith(
        f"Linux version {real_kernel.image.release} "
    )
