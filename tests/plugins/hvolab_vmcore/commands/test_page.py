# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab page` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_2M,
    RISCV_OPTIMIZED,
    changed,
    slot_of,
    va_of,
)
from tests.plugins.hvolab_vmcore.command_line import as_json, assert_refused, hvolab


def test_a_shared_tail_is_explained() -> None:
    result = hvolab("page", OPTIMIZED_2M, "0x5c48")
    assert result.exit_code == 0
    output = " ".join(result.stdout.split())
    for text in (
        "PFN 0x5c48 shared tail",
        "shared tail of the optimized huge page, 2 MiB at PFN 0x5c00: tail 72",
        "struct page VA 0xffffea0000171200, PA 0x54e4200: number 8 in frame 0x54e4, saved",
        "stores fault",
        "pte 0x54e5b88 0x80000000054e4121 (pte leaf pfn=0x54e4 P|A|G|NX)",
        "24 mapping 0xdead000000000400 TAIL_MAPPING",
    ):
        assert text in output


@pytest.mark.parametrize("pfn", ["0x5c00", "0x5c01", "0x5c40", "0x54e4", "0x1234", "0x10000000"])
def test_the_json_fits_the_published_schema(pfn: str) -> None:
    assert as_json("page", OPTIMIZED_2M, pfn)


@pytest.mark.slow
def test_exit_codes_name_findings_and_what_is_unknown(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    core = changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")
    found = hvolab("page", core, hex(FIRST_FOLIO + 3 * 64))
    assert (found.exit_code, "writable-tail" in found.stdout) == (1, True)
    assert hvolab("page", core, hex(FIRST_FOLIO)).exit_code == 0
    assert hvolab("page", OPTIMIZED_2M, "0x1234").exit_code == 3
    declared = hvolab("page", RISCV_OPTIMIZED, hex(0x101A00 + 64))
    assert (declared.exit_code, "stores       allowed" in declared.stdout) == (0, True)
    assert_refused("there is no PFN", "page", OPTIMIZED_2M, hex(1 << 50))
