"""`hvolab inspect` and `hvolab replay` as a user types them: what they print, and what they exit with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import hvolab_vmcore
from hvolab.cli.app import build_app
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    CAPTURES,
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    changed,
    slot_of,
    va_of,
)

RISCV_OPTIMIZED = CAPTURES / "riscv64-6.12-sv57" / "1-optimised-2M.core.xz"


def hvolab(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def as_json(*arguments: str | Path) -> Any:
    return json.loads(hvolab(*arguments, "--json").stdout)


def test_the_hook_adds_both_commands_to_any_command_line() -> None:
    app = typer.Typer()
    hvolab_vmcore.hvolab_commands(app)
    assert [command.name for command in app.registered_commands] == ["inspect", "replay"]


def test_inspect_shows_huge_pages_and_what_they_save() -> None:
    result = hvolab("inspect", OPTIMIZED_1G)
    assert result.exit_code == 0
    for text in (
        "x86_64, 4-level",
        "0x5c00",
        "4095 → 0x54e6",
        "saved: 4151 frames, 16604 KiB",
        "no problems found in what was read",
    ):
        assert text in result.stdout


def test_inspect_prints_json_with_stable_keys() -> None:
    data = as_json("inspect", OPTIMIZED_2M)
    assert list(data) == [
        "core", "kernel", "architecture", "mode", "profile", "release", "features", "root", "vmemmap",
        "sizes", "huge_pages", "savings", "absent", "findings", "assumptions",
    ]  # fmt: skip
    assert list(data["huge_pages"][0]) == [
        "pfn", "order", "size", "state", "tails_share", "bit", "vmemmap_va", "vmemmap_pages", "head", "tails",
    ]  # fmt: skip
    assert list(data["savings"]) == ["frames", "bytes", "splits", "split_bytes", "net_bytes"]


def test_inspect_exits_with_1_for_a_finding_that_nobody_declared(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    core = changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")
    result = hvolab("inspect", core)
    assert result.exit_code == 1
    assert "writable-tail: a tail is writable" in result.stdout
    assert hex(va_of(FIRST_FOLIO, 3)) in result.stdout
    assert [finding["kind"] for finding in as_json("inspect", core)["findings"]] == ["writable-tail"]


def test_a_finding_that_the_architecture_declares_does_not_fail_inspect() -> None:
    result = hvolab("inspect", RISCV_OPTIMIZED)
    assert result.exit_code == 0
    assert "writable-tail (declared)" in result.stdout
    assert {finding["declared"] for finding in as_json("inspect", RISCV_OPTIMIZED)["findings"]} == {True}


def test_the_strict_profile_finds_what_linux_lets_pass() -> None:
    assert hvolab("inspect", RISCV_OPTIMIZED, "--profile", "strict").exit_code == 1


def test_replay_tells_what_it_did_and_that_nothing_differs() -> None:
    result = hvolab("replay", OPTIMIZED_1G, RESTORED)
    assert result.exit_code == 0
    for text in (
        "restored: 8 of 2 MiB", "restored: 1 of 1 GiB, at PFN 0x40000", "compared: 4634 entries, 11705 struct pages",
        "left out: 253952 struct pages", "differences: none",
    ):  # fmt: skip
        assert text in result.stdout


def test_replay_prints_json_with_stable_keys_and_exits_with_1_for_a_difference(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    after = changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")
    result = hvolab("replay", BOOT, after, "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert list(data) == [
        "architecture", "mode", "features", "kernel", "folios", "entries_compared", "struct_pages_compared",
        "differences", "differences_found", "variant", "differences_of_variant", "left_out",
    ]  # fmt: skip
    (difference,) = data["differences"]
    assert difference["va"] == hex(va_of(FIRST_FOLIO, 3))
    assert difference["kernel"].startswith("0x80000000054e4123 (pte leaf pfn=0x54e4 P|RW|A|G|NX")
    text = hvolab("replay", BOOT, after).stdout
    assert "differences: 1" in text
    assert f"entry.flags at VA {va_of(FIRST_FOLIO, 3):#x}" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("inspect", "no-such.core"), "the file cannot be opened"),
        (("inspect", __file__), "this is not an ELF file"),
        (("inspect", OPTIMIZED_2M, "--arch", "vax"), "no architecture is called 'vax'"),
        (("inspect", OPTIMIZED_2M, "--arch", "arm64"), "cannot determine the paging mode"),
        (("inspect", OPTIMIZED_2M, "--mode", "6-level"), "x86_64 has no paging mode '6-level'"),
        (("inspect", OPTIMIZED_2M, "--mode", "5-level"), "the vmemmap cannot be walked"),
        (("inspect", OPTIMIZED_2M, "--root", "0x1000"), "the root table, at PA 0x1000, is not in the core"),
        (("inspect", OPTIMIZED_2M, "--root", "0xbfe56000"), "no vmemmap is mapped at VA 0xffffea0000000000"),
        (
            ("inspect", OPTIMIZED_2M, "--vmemmap", "0xffffea0000000001"),
            "the vmemmap cannot start at VA 0xffffea0000000001",
        ),
        (("inspect", OPTIMIZED_2M, "--vmemmap", "0x1000"), "no VAs are left for the vmemmap at VA 0x1000"),
        (("inspect", OPTIMIZED_2M, "--feature", "warp"), "x86_64 has no feature 'warp'"),
        (("replay", BOOT, RISCV_OPTIMIZED), "the cores have different architectures: x86_64 and riscv"),
        (("replay", BOOT, "no-such.core"), "the file cannot be opened"),
    ],
)
def test_wrong_use_ends_with_a_sentence_and_exit_code_2(arguments: tuple[str | Path, ...], sentence: str) -> None:
    result = hvolab(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error[")
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_a_number_that_is_none_is_refused_by_its_option() -> None:
    result = hvolab("inspect", OPTIMIZED_2M, "--root", "swapper")
    assert result.exit_code == 2
    assert "--root" in result.stderr
