# SPDX-License-Identifier: GPL-2.0-only
"""Operands of instructions before which a CPU stops."""

from __future__ import annotations

import pytest

from hvolab_kernel.code.instructions import function_named
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import DEBIANS

pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")
pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab_kernel.interleaving.operands import operands_at


@DEBIANS
def test_an_address_is_base_and_displacement_or_unknown(real_kernel: Kernel) -> None:
    function = function_named(real_kernel, "vmemmap_pmd_entry")
    known = {one.va: operands_at(real_kernel, one.va) for one in function.instructions}
    assert any(operand.register for operands in known.values() for operand in operands)
    for one in function.instructions:
        assert all(operand.memory and not operand.index and "gs:" not in one.text for operand in known[one.va])


@DEBIANS
def test_a_va_without_code_has_no_operand(real_kernel: Kernel) -> None:
    assert operands_at(real_kernel, 1 << 63) == ()
