# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of struct pages."""

from __future__ import annotations

import pytest

from hvolab.machine import FrameState
from hvolab_vmcore.page.words import read_struct_page
from tests.plugins.hvolab_vmcore.changed_cores import FIRST_FOLIO, OPTIMIZED_2M, made, scanned, va_of


def test_a_head_has_its_flag_and_tails_lead_to_it() -> None:
    snapshot = scanned(OPTIMIZED_2M).snapshot
    head, tail = (read_struct_page(snapshot, FIRST_FOLIO + number) for number in (0, 100))
    assert (head.va, head.has_head_flag, head.head_va) == (va_of(FIRST_FOLIO), True, None)
    assert (tail.has_head_flag, tail.head_va) == (False, va_of(FIRST_FOLIO))
    assert tail.data is not None
    assert len(tail.data) == 64


@pytest.mark.parametrize("kernel", ["x86_64-7.2", "riscv64-7.2"])
def test_a_mask_leads_from_a_tail_to_its_head(kernel: str) -> None:
    found = scanned(made(kernel, "2-eight-2M"))
    for head in found.huge_pages[-1].pfns.tolist():
        tails = [read_struct_page(found.snapshot, head + number) for number in (1, 64, 511)]
        assert {tail.head_va for tail in tails} == {read_struct_page(found.snapshot, head).va}


def test_bytes_that_the_dump_lacks_are_none() -> None:
    absent = read_struct_page(scanned(OPTIMIZED_2M).snapshot, 0x54E4)
    assert (absent.data, absent.state) == (None, FrameState.ABSENT)
    unmapped = read_struct_page(scanned(OPTIMIZED_2M).snapshot, 1 << 32)
    assert (unmapped.data, unmapped.state, unmapped.flags) == (None, None, 0)
