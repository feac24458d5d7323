# SPDX-License-Identifier: GPL-2.0-only
"""Right answers as JSON."""

from __future__ import annotations

from hvolab.serialize import as_data
from hvolab_vmcore.torture.answers import HugePageAnswer, Translation


def test_addresses_are_hex_and_counts_are_numbers() -> None:
    answer = HugePageAnswer(0x200, 2 << 20, 0, True, (Translation(0xFFFFEA0000008000, 7, 0x54E4, writable=False),))
    assert as_data(answer) == {
        "pfn": "0x200",
        "size": 2097152,
        "node": 0,
        "optimized": True,
        "vmemmap": [{"va": "0xffffea0000008000", "pages": 7, "pfn": "0x54e4", "writable": False}],
    }
