# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab inspect` as a user types it: output and exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RISCV_OPTIMIZED,
    WRONG_OPTIMIZED,
    WRONG_RESTORED,
    changed,
    made,
    slot_of,
    va_of,
    with_text,
    without,
)
from tests.plugins.hvolab_vmcore.command_line import as_json, assert_refused, hvolab

MADE_DUMPS = Path(__file__).parents[1] / "made_dumps"


def test_the_summary_has_pools_by_size_and_node_and_the_memory_saved() -> None:
    result = hvolab("inspect", OPTIMIZED_1G)
    assert result.exit_code == 0
    for text in (
        "x86_64, 4-level",
        "1 GiB     0          1    0           0            0  16380 KiB",
        "saved: 4151 frames, 16604 KiB",
        "no problems found in what was read",
    ):
        assert text in result.stdout
    assert "0x5c00" not in result.stdout


@pytest.mark.slow
def test_huge_pages_are_listed_on_request(tmp_path: Path) -> None:
    listing = hvolab("inspect", OPTIMIZED_1G, "--all").stdout
    assert "4095 → 0x54e6" in listing
    assert listing.count("7 → ") == 8
    one = hvolab("inspect", OPTIMIZED_1G, "--pfn", hex(FIRST_FOLIO + 5), "--pfn", "0x41234")
    assert re.findall(r"^(0x\w+) +[12] [MG]iB", one.stdout, re.MULTILINE) == ["0x40000", "0x5c00"]
    assert "no huge page is selected" in hvolab("inspect", OPTIMIZED_1G, "--only", "problems").stdout
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    core = changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")
    broken = as_json("inspect", core, "--only", "problems")["huge_pages"]
    assert [(page["pfn"], page["state"]) for page in broken] == [(hex(FIRST_FOLIO), "broken")]


def test_the_node_of_a_pool_is_unknown_where_vmcoreinfo_does_not_show_it(tmp_path: Path) -> None:
    old, new = b"OFFSET(pglist_data.nr_zones)", b"OFFSET(pglist_data.xx_zones)"
    core = with_text(OPTIMIZED_2M, old, new, tmp_path / "a.core")
    assert "2 MiB  cannot tell          8" in hvolab("inspect", core).stdout
    assert [pool["node"] for pool in as_json("inspect", core)["pools"]] == [None, None]


@pytest.mark.parametrize("core", [OPTIMIZED_1G, RISCV_OPTIMIZED, WRONG_RESTORED], ids=lambda core: core.parent.name)
def test_the_json_fits_the_published_schema(core: Path) -> None:
    assert as_json("inspect", core)


def test_inspect_prints_json_with_stable_keys() -> None:
    data = as_json("inspect", OPTIMIZED_2M)
    assert list(data) == [
        "core", "format", "kernel", "architecture", "mode", "profile", "release", "features", "release_choice", "root",
        "vmemmap", "sizes", "pools", "huge_pages", "savings", "absent", "not_saved", "verdict", "findings",
        "assumptions",
    ]  # fmt: skip
    assert list(data["huge_pages"][0]) == [
        "pfn", "order", "size", "node", "state", "tails_share", "bit", "vmemmap_va", "vmemmap_pages", "head", "tails",
    ]  # fmt: skip
    assert list(data["savings"]) == ["frames", "bytes", "splits", "split_bytes", "net_bytes"]


def test_inspect_exits_with_3_where_what_decides_was_not_saved(tmp_path: Path) -> None:
    table = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))[0]
    result = hvolab("inspect", without(OPTIMIZED_2M, [table], tmp_path / "a.kdump"))
    assert result.exit_code == 3
    assert "cannot tell whether the vmemmap is right" in result.stdout
    assert "2 MiB     -          0    0           0     up to 64" in result.stdout
    assert "no problems" not in result.stdout


def test_a_part_of_a_split_dump_without_the_page_tables_asks_for_the_others() -> None:
    parts = [MADE_DUMPS / f"split-{number}.kdump.xz" for number in (1, 2)]
    result = hvolab("inspect", parts[1])
    assert result.exit_code == 2
    assert "hint: give the other parts of the split dump: --part FILE" in result.stderr
    assert hvolab("inspect", parts[1], "--part", parts[0]).exit_code == 0


def test_inspect_exits_with_1_for_an_undeclared_finding(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    core = changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")
    result = hvolab("inspect", core)
    assert result.exit_code == 1
    assert "writable-tail: a tail is writable" in result.stdout
    assert "invariant 6 (stores)" in result.stdout
    assert "no problems found" not in result.stdout
    assert hex(va_of(FIRST_FOLIO, 3)) in result.stdout
    assert [finding["kind"] for finding in as_json("inspect", core)["findings"]] == ["writable-tail"]


def test_a_finding_that_the_architecture_declares_does_not_fail_inspect() -> None:
    result = hvolab("inspect", RISCV_OPTIMIZED)
    assert result.exit_code == 0
    assert "writable-tail (declared)" in result.stdout
    assert {finding["declared"] for finding in as_json("inspect", RISCV_OPTIMIZED)["findings"]} == {True}


def test_the_strict_profile_finds_what_linux_permits() -> None:
    assert hvolab("inspect", RISCV_OPTIMIZED, "--profile", "strict").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("no-such.core",), "the file cannot be opened"),
        ((__file__,), "this is not a memory dump of a known format"),
        ((OPTIMIZED_2M, "--arch", "vax"), "no architecture is called 'vax'"),
        ((OPTIMIZED_2M, "--arch", "arm64"), "cannot determine the paging mode"),
        ((OPTIMIZED_2M, "--mode", "6-level"), "x86_64 has no paging mode '6-level'"),
        ((OPTIMIZED_2M, "--mode", "5-level"), "the vmemmap cannot be walked"),
        ((OPTIMIZED_2M, "--root", "0x1000"), "the root table, at PA 0x1000, is not in the core"),
        ((OPTIMIZED_2M, "--root", "0xbfe56000"), "no vmemmap is mapped at VA 0xffffea0000000000"),
        ((OPTIMIZED_2M, "--vmemmap", "0xffffea0000000001"), "the vmemmap cannot start at VA 0xffffea0000000001"),
        ((OPTIMIZED_2M, "--vmemmap", "0x1000"), "no VAs are left for the vmemmap at VA 0x1000"),
        ((OPTIMIZED_2M, "--feature", "warp"), "x86_64 has no feature 'warp'"),
    ],
)
def test_wrong_use_ends_with_a_sentence_and_exit_code_2(arguments: tuple[str | Path, ...], sentence: str) -> None:
    assert_refused(sentence, "inspect", *arguments)


@pytest.mark.slow
def test_inspect_names_the_release_and_the_reasons() -> None:
    output = " ".join(hvolab("inspect", made("x86_64-7.2", "2-eight-2M")).stdout.split())
    assert "modeled as release 7.2: chosen by features of the core" in output
    assert "a tail holds a mask that leads to its head: VMCOREINFO has OFFSET(page.compound_info)" in output
    assert "would fit as well" not in output
    data = as_json("inspect", WRONG_OPTIMIZED)
    assert data["release"] == "6.12.117"
    assert list(data["release_choice"]) == ["by", "fits", "contradict", "as_well"]
    assert (data["release_choice"]["by"], data["release_choice"]["as_well"]) == ("features", ["6.12"])


def test_a_release_that_an_option_names_overrules_the_core() -> None:
    result = hvolab("inspect", made("x86_64-7.2", "2-eight-2M"), "--release", "6.12")
    assert result.exit_code == 1
    assert "modeled as release 6.12: named by --release" in result.stdout
    assert "foreign-frame" in result.stdout
    assert_refused("hvolab does not know the kernel release '9.9'", "inspect", OPTIMIZED_2M, "--release", "9.9")
    assert_refused("x86_64 has no kernel release 'mm-2026'", "inspect", OPTIMIZED_2M, "--release", "mm-2026")


def test_a_wrong_restore_fails_inspect() -> None:
    result = hvolab("inspect", WRONG_RESTORED)
    assert result.exit_code == 1
    assert "modeled as release 6.12.117" in result.stdout
    assert "… and 48 more of stale-head" in result.stdout
