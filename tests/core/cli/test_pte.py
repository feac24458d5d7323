# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab pte`: entries decoded into names, names encoded into entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.cli.conftest import Invoke

X86 = ("--arch", "x86_64")


# decoding


def test_an_entry_may_be_given_in_decimal(invoke_json: Callable[..., Any]) -> None:
    assert invoke_json("pte", *X86, str(0x54E4063))["pfn"] == "0x54e4"


def test_an_illegal_entry_is_refused_with_the_bits_and_the_rule(invoke: Invoke) -> None:
    result = invoke("pte", *X86, "--level", "pud", "0x80000000054e41e3")
    assert result.exit_code == 2
    assert "the output address of a leaf entry at pud is a multiple of 1 GiB, set are: 14, 17" in result.stderr
    assert "rule: Intel SDM" in result.stderr


# encoding


def test_the_example_of_the_help_encodes(invoke_json: Callable[..., Any]) -> None:
    named = invoke_json("pte", *X86, "--pfn", "0x54e4", "PAGE_KERNEL", "RW=0")
    spelt = invoke_json("pte", *X86, "--level", "pte", "--pfn", "0x54e4", "P", "A", "D", "G", "NX")
    assert named["entry"] == spelt["entry"] == "0x80000000054e4161"


@pytest.mark.parametrize(
    ("arguments", "message", "advice"),
    [
        (("PAGE_KERNEL_OR",), "'PAGE_KERNEL_OR' is not an entry, protection or field", "did you mean 'PAGE_KERNEL_RO'"),
        (("80000000054e4161",), "'80000000054e4161' is not an entry", "a hex number needs its 0x"),
        (("P", "PKEY=16"), "16 does not fit in PKEY (bits 62:59)", ""),
        (("P", "PKEY=x"), "'x' is not a number", "hex with 0x"),
        (("P", "--pfn", "12q"), "'12q' is not a number", "hex with 0x"),
        (("P", "--pfn", "0x10000000000"), "PFN 0x10000000000 does not fit", "stay below the PA width"),
        (("--level", "pmd", "PAGE_KERNEL_LARGE", "--pfn", "3"), "PFN 0x3 does not fit", "align the frame"),
        (("RW",), "are not those of a leaf entry at pte", ""),
        (("0x63", "--pfn", "1"), "0x63 is a number", "without --pfn"),
        (("0x63", "RW"), "0x63 is a number", "one entry at a time"),
        (("--level", "pgb", "0x63"), "no level 'pgb'", "pgd, pud, pmd, pte"),
        (("0x1" + "0" * 16,), "is not an entry of 64 bits", ""),
    ],
)
def test_what_cannot_be_encoded_is_refused(
    invoke: Invoke, arguments: tuple[str, ...], message: str, advice: str
) -> None:
    result = invoke("pte", *X86, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert advice in result.stderr


# the form that an entry matches


# the rule that is broken
