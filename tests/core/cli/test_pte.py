"""`hvolab pte`: entries decoded into names, names encoded into entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from hvolab.arch import Architecture, EntryKind, PgprotRole, Target
from hvolab.cli.entry_view import view_entry
from hvolab.cli.entry_words import encode
from hvolab.conformance.legal import legal_entries
from hvolab.errors import EncodingError
from hvolab.plugin import registry
from tests.core.cli.conftest import Invoke

X86 = ("--arch", "x86_64")


def targets() -> list[Target]:
    """Every architecture in every mode, profile and release."""
    return [
        architecture.select(mode.name, profile=profile, release=release)
        for architecture in registry().architectures().values()
        for mode in architecture.modes
        for profile in architecture.profiles
        for release in architecture.releases
    ]


# decoding


@pytest.mark.parametrize(
    "arguments",
    [
        ("0x80000000054e4121",),
        ("0x80000000054e4161",),
        ("0x80000000054e4367",),
        ("--level", "pmd", "0x80000000200001e3"),
        ("--level", "pmd", "0x54e4067"),
        ("0x54e4000",),
    ],
    ids=["read-only", "read-only of another kernel", "far from any", "large leaf", "table", "not valid"],
)
def test_a_decoded_entry_reads_well(invoke: Invoke, snapshot: SnapshotAssertion, arguments: tuple[str, ...]) -> None:
    result = invoke("pte", *X86, *arguments)
    assert result.exit_code == 0
    assert result.stdout == snapshot


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


@pytest.mark.parametrize("target", targets(), ids=str)
def test_the_kernels_protections_are_recognized_at_every_level(target: Target) -> None:
    for role, pgprot in target.pgprots:
        for level in target.mode.levels:
            kind = EntryKind.TABLE if role is PgprotRole.TABLE else EntryKind.LEAF
            try:
                raw = target.mode.format.form(level.name, kind).put_address(0) | target.bits(level.name, role)
                view = view_entry(target, level.name, raw)
            except EncodingError:
                continue  # not every protection exists at every level
            if view.entry.kind is kind:
                assert pgprot.name in view.pgprots
    names = view_entry(target, target.mode.last.name, target.bits(target.mode.last.name, PgprotRole.KERNEL)).pgprots
    assert "PAGE_KERNEL" in names


def test_a_protection_of_another_kernel_is_named_with_it(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "0x80000000054e4161")
    assert entry["pgprots"] == []
    assert entry["pgprots_elsewhere"] == ["PAGE_KERNEL_RO of kernel 6.1"]
    assert invoke_json("pte", *X86, "--release", "6.1", "0x80000000054e4161")["pgprots"] == ["PAGE_KERNEL_RO"]


def test_the_nearest_protection_is_named_with_what_differs(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "0x80000000054e4167")
    assert entry["nearest_pgprots"] == [{"name": "PAGE_KERNEL", "there": {"US": "0x0"}}]


def test_an_entry_may_be_given_in_decimal(invoke_json: Callable[..., Any]) -> None:
    assert invoke_json("pte", *X86, str(0x54E4063))["pfn"] == "0x54e4"


def test_an_entry_that_is_not_valid_ends_a_walk(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "0x54e4062")
    assert (entry["kind"], entry["pfn"], entry["fields"]) == ("none", None, [])
    assert not any(entry["allows"].values())


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


def test_a_later_word_overrides(invoke_json: Callable[..., Any]) -> None:
    assert invoke_json("pte", *X86, "RW=0", "PAGE_KERNEL", "PKEY=0x3")["entry"] == "0x9800000000000163"


def test_features_change_the_bits_of_a_protection(invoke_json: Callable[..., Any]) -> None:
    assert invoke_json("pte", *X86, "PAGE_KERNEL", "--feature", "pti,sme")["entry"] == "0x8000800000000063"


def test_a_tables_protection_makes_a_table(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "--level", "pmd", "--pfn", "0x54e4", "_PAGE_TABLE")
    assert (entry["entry"], entry["kind"]) == ("0x54e4067", "table")


@pytest.mark.parametrize(
    ("arguments", "message", "advice"),
    [
        (("PAGE_KERNEL_OR",), "'PAGE_KERNEL_OR' is not an entry, protection or field", "did you mean PAGE_KERNEL_RO"),
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


def test_an_address_in_two_parts_is_told_part_by_part(invoke_json: Callable[..., Any]) -> None:
    arguments = ("--arch", "arm64", "--mode", "64K-52bit", "--pfn", "0xabcde1234", "PAGE_KERNEL")
    fields = invoke_json("pte", *arguments)["fields"]
    addresses = [int(field["value"], 16) for field in fields if field["name"] == "address"]
    assert sorted(addresses) == [0xBCDE12340000, 0xA000000000000]


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


# the form that an entry matches


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


# the rule that is broken


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
