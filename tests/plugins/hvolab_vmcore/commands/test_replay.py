# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab replay` as a user types it: output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    RISCV_OPTIMIZED,
    changed,
    slot_of,
    va_of,
)
from tests.plugins.hvolab_vmcore.command_line import assert_refused, hvolab


def test_replay_prints_its_operations_and_that_nothing_differs() -> None:
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
    assert list(difference) == ["kind", "text", "va", "engine", "kernel", "variant"]
    assert difference["va"] == hex(va_of(FIRST_FOLIO, 3))
    assert difference["kernel"].startswith("0x80000000054e4123 (pte leaf pfn=0x54e4 P|RW|A|G|NX")
    text = hvolab("replay", BOOT, after).stdout
    assert "differences: 1" in text
    assert f"entry.flags at VA {va_of(FIRST_FOLIO, 3):#x}" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((BOOT, RISCV_OPTIMIZED), "the cores have different architectures: x86_64 and riscv"),
        ((BOOT, "no-such.core"), "the file cannot be opened"),
    ],
)
def test_wrong_use_ends_with_a_sentence_and_exit_code_2(arguments: tuple[str | Path, ...], sentence: str) -> None:
    assert_refused(sentence, "replay", *arguments)
