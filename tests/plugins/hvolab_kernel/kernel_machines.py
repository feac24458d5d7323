# SPDX-License-Identifier: GPL-2.0-only
"""Machines and huge pages on which tests run a kernel's own code, and the kernels that they are run for."""

from __future__ import annotations

import pytest

from hvolab.hugetlb import Hstate, Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab_kernel.comparison import target_of
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.kernel_images import command_for
from tests.samples import one_in

#: Every image that CI fetches.
_FETCHED = ["x86_64-6.1", "x86_64-6.12", "x86_64-7.x", "riscv64-6.12", "riscv64-7.x"]
_ARM64 = ["arm64-6.12-hvo", "arm64-6.12-hvo-plain"]


def _kernels(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("real_kernel", names, indirect=True)


#: Command that fetches the latest 6.12 in the place of an older one.
LATEST_6_12 = f"{command_for('x86_64-6.12')} --again"
FETCHED = _kernels(*_FETCHED)
#: The same; some are `long`.
SOME_FETCHED = pytest.mark.parametrize("real_kernel", one_in(2, _FETCHED, str), indirect=True)
#: The same with their numbers, for cases of which each kernel has its share.
SHARING = pytest.mark.parametrize(
    ("real_kernel", "part"), [(name, part) for part, name in enumerate(_FETCHED)], indirect=["real_kernel"]
)
PARTS = len(_FETCHED)
EACH = _kernels(*_FETCHED, *_ARM64)
#: Those whose HVO takes folios, and lists of them.
FOLIOS = _kernels(*(name for name in _FETCHED if name != "x86_64-6.1"))
EACH_FOLIO = _kernels(*(name for name in _FETCHED if name != "x86_64-6.1"), _ARM64[0])
#: Those of 6.12, for tests of functions that other releases have not, or inline.
EACH_6_12 = _kernels("x86_64-6.12", "riscv64-6.12", *_ARM64)
ARM64 = _kernels(*_ARM64)
#: Debian's, whose configuration has BUG_ON_DATA_CORRUPTION.
DEBIANS = _kernels("x86_64-6.12", "riscv64-6.12")
X86 = _kernels("x86_64-6.12")
#: Kernels with another variant of HVO than v6.12's.
OTHER_VARIANTS = _kernels("x86_64-6.1", "x86_64-7.x", "riscv64-7.x")
X86_AND_ARM64 = _kernels("x86_64-6.12", _ARM64[0])
X86_6_1 = _kernels("x86_64-6.1")
X86_7 = _kernels("x86_64-7.x")
#: One with fake heads, and one without.
READERS = _kernels("x86_64-6.12", "x86_64-7.x")
X86_OTHERS = _kernels("x86_64-6.1", "x86_64-7.x")
#: Those whose hugepages_setup() is the function of the boot parameter, in text that the loader maps.
X86_PARSERS = _kernels("x86_64-6.1", "x86_64-6.12")
#: Those with MEMORY_FAILURE.
X86_MEMORY_FAILURE = _kernels("x86_64-6.1", "x86_64-6.12", "x86_64-7.x")
SIZE = 2 << 20


def machine_for(kernel: Kernel, mode: str | None = None, cpus: int = 1) -> Machine:
    """Build a machine for a kernel, with its struct page layout."""
    layout = struct_page_layout(kernel)
    return build_machine(target_of(kernel, mode), MachineSpec(memory=512 << 20, cpus=cpus, layout=layout))


def huge_pages(machine: Machine) -> Hstate:
    """Return the hstate of 2 MiB pages."""
    return next(h for h in hstates(machine) if h.size == SIZE)


def unoptimized(machine: Machine) -> tuple[Hstate, int]:
    """Return hstate and VA of a free huge page that is not optimized, on a machine whose switch is on."""
    pool = Pool(machine, huge_pages(machine), Hvo(machine))
    machine.optimize_enabled = False
    pool.set_max_huge_pages(1)
    machine.optimize_enabled = True
    (folio,) = pool.free_folios()
    return pool.h, folio


def optimized(kernel: Kernel) -> tuple[Machine, KernelHvo, Pool, int]:
    """Return a machine, the kernel's HVO, its pool, and the VA of the only folio, which that HVO has optimized."""
    machine = machine_for(kernel)
    hvo = KernelHvo(machine, kernel)
    pool = Pool(machine, huge_pages(machine), hvo)
    pool.set_max_huge_pages(1)
    (folio,) = pool.free_folios()
    return machine, hvo, pool, folio


def optimized_by_6_12_117(kernel: Kernel) -> tuple[Machine, KernelHvo, Pool, int]:
    """Return the same for a kernel that restores tails as copies; skips for others."""
    if not release_of(kernel).variant.copies_mapped:
        pytest.skip(f"this kernel resets the struct pages that it restores; 6.12.117 does not: {LATEST_6_12}")
    return optimized(kernel)
