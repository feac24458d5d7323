# SPDX-License-Identifier: GPL-2.0-only
"""Entries from words: names encoded, broken rules cited, features named that allow an entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import EntryKind, PgprotRole, Target
from hvolab.cli.entry_view import view_entry
from hvolab.cli.entry_words import encode, entry_from_bytes
from hvolab.cli.protections import first_level
from hvolab.errors import EncodingError, UsageError
from hvolab_x86_64.description import X86_64
from tests.core.cli.conftest import Invoke, targets

X86 = ("--arch", "x86_64")


def test_a_later_word_overrides(invoke_json: Callable[..., Any]) -> None:
    assert invoke_json("pte", *X86, "RW=0", "PAGE_KERNEL", "PKEY=0x3")["entry"] == "0x9800000000000163"


def test_bytes_in_memory_are_an_entry_in_the_byte_order_of_the_architecture(
    invoke: Invoke, invoke_json: Callable[..., Any]
) -> None:
    assert invoke_json("pte", *X86, "--bytes", "61 41 4e 05 00 00 00 80")["entry"] == "0x80000000054e4161"
    for text in ("61 41", "61 41 4e 05 00 00 00 8", "zz"):
        result = invoke("pte", *X86, "--bytes", text)
        assert result.exit_code == 2
        assert "is not the 8 bytes of an entry of x86_64" in result.stderr
    assert "no entry is given" in invoke("pte", *X86).stderr
    assert "but it is not alone" in invoke("pte", *X86, "0x61", "--bytes", "61 41 4e 05 00 00 00 80").stderr


@pytest.mark.parametrize("order", ["little", "big"])
@given(raw=st.integers(0, (1 << 64) - 1))
def test_bytes_read_in_each_byte_order_are_the_same_entry(order: Literal["little", "big"], raw: int) -> None:
    target = replace(X86_64, byte_order=order).select()
    assert entry_from_bytes(target, raw.to_bytes(8, order).hex(" ")) == raw


def test_features_change_the_bits_of_a_protection(invoke_json: Callable[..., Any]) -> None:
    assert invoke_json("pte", *X86, "PAGE_KERNEL", "--feature", "pti,sme")["entry"] == "0x8000800000000063"


@pytest.mark.parametrize("target", targets(), ids=lambda target: f"{target.architecture.name}-{target.mode.name}")
def test_each_role_is_encoded_or_said_not_to_be_declared(target: Target) -> None:
    declared = {role for role, _ in target.pgprots}
    for role in PgprotRole:
        level = first_level(target, role)
        if role in declared:
            assert encode(target, level, 0, [role.value])
        else:
            with pytest.raises(UsageError, match=f"declares no {role.value}"):
                encode(target, level, 0, [role.value])


def test_a_tables_protection_makes_a_table(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "--level", "pmd", "--pfn", "0x54e4", "_PAGE_TABLE")
    assert (entry["entry"], entry["kind"]) == ("0x54e4067", "table")


@pytest.mark.slow
@given(st.data())
def test_a_leaf_read_and_written_again_by_its_names_is_the_same(data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(targets()))
    mode = target.mode
    form = mode.format.form(mode.last.name, EntryKind.LEAF)
    pfn = data.draw(st.integers(0, (1 << mode.pa_bits - mode.page_shift) - 1))
    changed = data.draw(st.sampled_from(form.fields))
    words = ["PAGE_KERNEL", f"{changed.name}={data.draw(st.integers(0, changed.limit - 1))}"]
    try:
        raw = encode(target, mode.last.name, pfn, words)
    except EncodingError:
        return  # the change made it illegal, or no leaf
    view = view_entry(target, mode.last.name, raw)
    assert view.entry.pfn == pfn
    told = sum(bits.value << bits.low for bits in view.bits if bits.name != "address")
    assert told | form.put_address(pfn << mode.page_shift) == raw
    assert sum(bits.value for bits in view.bits if bits.name == "address") == view.pa
    again = [f"{name}={value:#x}" for name, value in view.entry.fields]
    assert encode(target, mode.last.name, pfn, again) == raw


@pytest.mark.parametrize(
    ("arguments", "message", "rule", "hint"),
    [
        (
            ("0x40000000402b0ce7", "-a", "riscv"),
            "reserved bits must be zero, set are: 62",
            "Sv39/Sv48/Sv57",
            "svpbmt",
        ),
        (("0x80000000402b20e7", "-a", "riscv"), "set are: 63", "Sv39/Sv48/Sv57", "svnapot"),
        (("0xa0000000402b20e7", "-a", "riscv"), "set are: 61, 63", "Sv39/Sv48/Sv57", "svnapot,svpbmt"),
        (("0x60000000402b0ce7", "-a", "riscv"), "set are: 61, 62", "Sv39/Sv48/Sv57", ""),
        (("0x60000000402b0ce7", "-a", "riscv", "--feature", "svpbmt"), "PBMT 3 is reserved", "Svpbmt", ""),
        (("PAGE_KERNEL", "PBMT=3", "-a", "riscv", "--feature", "svpbmt"), "PBMT 3 is reserved", "Svpbmt", ""),
        (("PAGE_KERNEL", "PBMT=1", "-a", "riscv"), "'PBMT' is not an entry", "", "svpbmt"),
        (("0x4f3004e7", "-a", "riscv", "-l", "pmd"), "is a multiple of 2 MiB, set are: 10", "Sv39/Sv48/Sv57", ""),
        (("0x402b4481", "-a", "riscv", "-l", "pmd"), "D, A and U of a table entry must be zero", "Sv39", ""),
        (("0x00e8000040c13703", "-a", "arm64", "-m", "64K-48bit"), "must be zero, set are: 12, 13", "D8.3", "lpa"),
    ],
)
def test_the_broken_rule_is_cited_and_features_that_allow_the_entry_are_named(
    invoke: Invoke, arguments: tuple[str, ...], message: str, rule: str, hint: str
) -> None:
    result = invoke("pte", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert rule in result.stderr
    assert "misaligned" not in result.stderr
    assert (f"add --feature {hint}, with which it is legal" in result.stderr) is bool(hint)
    assert ("--feature" in result.stderr) is bool(hint)
