# SPDX-License-Identifier: GPL-2.0-only
"""Calling conventions by ELF machine."""

from __future__ import annotations

import pytest

from hvolab_kernel.running.abi import CONVENTIONS, convention_of
from hvolab_vmlinux.errors import KernelImageError


@pytest.mark.parametrize("machine", CONVENTIONS)
def test_the_return_address_is_in_a_register_or_on_the_stack(machine: str) -> None:
    convention = convention_of(machine)
    assert bool(convention.link) is (machine != "EM_X86_64")
    assert len(set(convention.arguments)) == 6
    assert all(code and name for code, name in convention.bugs)


def test_other_machines_are_refused_with_what_can_be_done() -> None:
    with pytest.raises(KernelImageError, match="cannot run the code of EM_LOONGARCH kernels") as raised:
        convention_of("EM_LOONGARCH")
    assert raised.value.rule == "hvolab runs kernels of EM_X86_64, EM_AARCH64, EM_RISCV"
    assert raised.value.hint == "read its image instead: hvolab image, hvolab disasm"
