# SPDX-License-Identifier: GPL-2.0-only
"""Operands of instructions before which a CPU stops."""

from __future__ import annotations

import pytest

from hvolab_kernel.code.instructions import function_named
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import DEBIANS

pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")
pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab_kernel.interleaving.operands import operand_at


@DEBIANS
def test_an_address_is_base_and_displacement_or_unknown(real_kernel: Kernel) -> None:
    function = function_named(real_kernel, "vmemmap_pmd_entry")
    known = {one.va: operand_at(real_kernel, one.va) for one in function.instructions}
    assert any(operand is not None and operand.register for operand in known.values())
    for one in function.instructions:
        operand = known[one.va]
        assert operand is None or (operand.memory and not operand.index and "gs:" not in one.text)


@DEBIANS
def test_a_va_without_code_has_no_operand(real_kernel: Kernel) -> None:
    assert operand_at(real_kernel, 1 << 63) is None
