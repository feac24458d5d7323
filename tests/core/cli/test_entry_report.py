# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab pte` for people."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.core.cli.conftest import Invoke

X86 = ("--arch", "x86_64")


@pytest.mark.parametrize(
    "arguments",
    [
        ("0x80000000054e4121",),
        ("0x80000000054e4161",),
        ("0x80000000054e4367",),
        ("--level", "pmd", "0x80000000200001e3"),
        ("--level", "pmd", "0x54e4067"),
        ("0x0",),
        ("0x800ffffffab1b100",),
        ("0x0fffffffffdb9608",),
    ],
    ids=[
        "read-only",
        "read-only of another kernel",
        "far from any",
        "large leaf",
        "table",
        "not valid",
        "none",
        "swap",
    ],
)
def test_a_decoded_entry_reads_well(invoke: Invoke, snapshot: SnapshotAssertion, arguments: tuple[str, ...]) -> None:
    result = invoke("pte", *X86, *arguments)
    assert result.exit_code == 0
    assert result.stdout == snapshot
