# SPDX-License-Identifier: GPL-2.0-only
"""Entries as `hvolab pte` reports them: every bit once, in the form that the entry matches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hvolab.arch import Architecture
from hvolab.cli.entry_view import view_entry
from hvolab.conformance.samples import legal_entries
from hvolab.plugin import registry
from tests.core.cli.conftest import Invoke

X86 = ("--arch", "x86_64")


def test_json_has_every_bit_once_and_what_follows(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "0x80000000054e4121")
    assert entry["kind"] == "leaf"
    assert (entry["pfn"], entry["pa"], entry["maps_bytes"]) == ("0x54e4", "0x54e4000", 4096)
    assert entry["pgprots"] == ["PAGE_KERNEL_RO"]
    assert entry["allows"] == {"load": True, "store": False, "fetch": False}
    assert entry["flags"] == {"accessed": True, "dirty": False}
    fields = {field["name"]: field for field in entry["fields"]}
    assert fields["NX"] == {"name": "NX", "high": 63, "low": 63, "value": "0x1", "meaning": "no execute"}
    assert fields["address"]["value"] == "0x54e4000"
    bits = [bit for field in entry["fields"] for bit in range(field["low"], field["high"] + 1)]
    assert sorted(bits) == list(range(64))


def test_a_dirty_flag_is_set_by_no_store_where_none_is_allowed(invoke: Invoke) -> None:
    assert "clear: no store is allowed" in invoke("pte", "-a", "x86_64", "PAGE_KERNEL_RO").stdout
    assert "clear: the walker sets it at the first store" in invoke("pte", "-a", "x86_64", "PAGE_KERNEL", "D=0").stdout


@pytest.mark.parametrize(
    ("arguments", "name", "pfn"),
    [
        ((*X86, "0x800ffffffab1b100"), "page without access", "0x54e4"),
        ((*X86, "0x800ffffffab1b100", "--feature", "sme"), "page without access", "0x54e4"),
        ((*X86, "0x800fffffdfe000a0", "--level", "pmd"), "huge page that is invalidated", "0x20000"),
        ((*X86, "0x0fffffffffdb9608"), "swap entry", None),
        (("-a", "arm64", "0x00600000054e4f82"), "page without access", "0x54e4"),
        (("-a", "arm64", "0x0000000040000f40", "--level", "pmd"), "page that is invalidated", "0x40000"),
        (("-a", "arm64", "0x0000000001234044"), "swap entry", None),
        (("-a", "riscv", "0x0000000001539022"), "page without access", "0x54e4"),
        (("-a", "riscv", "0x00000000080000c6", "--level", "pmd"), "huge page that is invalidated", "0x20000"),
        (("-a", "riscv", "0x00000000012340c0"), "swap entry", None),
    ],
)
def test_what_the_kernel_stores_without_present_is_decoded_as_what_it_is(
    invoke_json: Callable[..., Any], arguments: tuple[str, ...], name: str, pfn: str | None
) -> None:
    entry = invoke_json("pte", *arguments)
    assert (entry["kind"], entry["pfn"], entry["allows"]["load"]) == ("none", None, False)
    assert (entry["software"]["name"], entry["software"]["pfn"]) == (name, pfn)
    fields = {field["name"]: field["value"] for field in reversed(entry["fields"])}
    if name == "swap entry":
        assert (fields["TYPE"], fields["OFFSET"], fields["EXCLUSIVE"]) == ("0x1", "0x1234", "0x1")
    else:
        assert fields["address"] == f"{pfn}000"


def test_an_entry_that_is_not_valid_ends_a_walk(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", "--arch", "riscv", "0x54e4002")
    assert (entry["kind"], entry["pfn"], entry["fields"]) == ("none", None, [])
    assert not any(entry["allows"].values())


def test_an_address_in_two_parts_is_told_part_by_part(invoke_json: Callable[..., Any]) -> None:
    arguments = ("--arch", "arm64", "--mode", "64K-52bit", "--pfn", "0xabcde1234", "PAGE_KERNEL")
    fields = invoke_json("pte", *arguments)["fields"]
    addresses = [int(field["value"], 16) for field in fields if field["name"] == "address"]
    assert sorted(addresses) == [0xBCDE12340000, 0xA000000000000]


def test_a_leaf_of_several_entries_is_printed_in_its_own_form(invoke: Invoke, invoke_json: Callable[..., Any]) -> None:
    arguments = ("pte", "0x80000000402b20e7", "-a", "riscv", "--feature", "svnapot")
    entry = invoke_json(*arguments)
    assert (entry["pfn"], entry["pa"], entry["maps_bytes"]) == ("0x100ac0", "0x100ac0000", 64 << 10)
    fields = {field["name"]: field["value"] for field in entry["fields"]}
    assert (fields["N"], fields["NAPOT_SIZE"], fields["address"]) == ("0x1", "0x8", "0x100ac0000")
    assert entry["pgprots"] == ["PAGE_KERNEL"]
    assert "PA 0x100ac0000, 64 KiB; PA bits 15:12 are those of the VA" in invoke(*arguments).stdout
    encoded = invoke_json("pte", "PAGE_KERNEL", "N", "--pfn", "0x100ac0", "-a", "riscv", "--feature", "svnapot")
    assert encoded == entry


@pytest.mark.parametrize(
    "architecture", registry().architectures().values(), ids=lambda architecture: architecture.name
)
def test_every_form_is_printed_with_its_own_fields(architecture: Architecture) -> None:
    for mode in architecture.modes:
        for features in ((), *((one.name,) for one in architecture.features if one.exists_in(mode.name))):
            target = architecture.select(mode.name, features=features)
            for form in target.mode.format.forms:
                for level in form.levels:
                    for raw in legal_entries(target.mode.format, level, form)[:1]:
                        view = view_entry(target, level, raw)
                        names = [bits.name for bits in view.bits if bits.name not in {"address", "reserved"}]
                        assert sorted(names) == sorted(form.by_name)
                        assert view.pa == form.get_address(raw)
