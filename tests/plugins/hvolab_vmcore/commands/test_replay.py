# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab replay` as a user types it: output and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hvolab.hvo import Hvo
from hvolab.release.releases import V6_12_117
from hvolab_vmcore.commands.replay import other_release
from hvolab_vmcore.replay.replay import replay
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    RISCV_OPTIMIZED,
    changed,
    made,
    slot_of,
    va_of,
    without,
)
from tests.plugins.hvolab_vmcore.command_line import as_json, assert_refused, hvolab
from tests.schemas import fitting


@pytest.mark.slow
def test_replay_prints_its_operations_and_that_nothing_differs() -> None:
    result = hvolab("replay", OPTIMIZED_1G, RESTORED)
    assert result.exit_code == 0
    for text in (
        "restored: 8 of 2 MiB", "restored: 1 of 1 GiB, at PFN 0x40000", "compared: 4634 entries, 11705 struct pages",
        "left out: 253952 struct pages", "differences: none",
    ):  # fmt: skip
        assert text in result.stdout


@pytest.mark.slow
def test_replay_prints_json_with_stable_keys_and_exits_with_1_for_a_difference(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    after = changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")
    result = hvolab("replay", BOOT, after, "--json")
    assert result.exit_code == 1
    data = fitting("replay", result.stdout)
    assert list(data) == [
        "architecture", "mode", "features", "kernel", "release", "release_choice", "engine_release", "folios",
        "entries_compared", "struct_pages_compared", "differences", "differences_found", "left_out", "verdict",
        "not_saved",
    ]  # fmt: skip
    (difference,) = data["differences"]
    assert list(difference) == ["kind", "text", "va", "engine", "kernel"]
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


def test_what_was_not_saved_is_never_called_equal(tmp_path: Path) -> None:
    table = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO))[0]
    after = without(OPTIMIZED_2M, [table], tmp_path / "a.kdump")
    result = hvolab("replay", BOOT, after)
    assert result.exit_code == 3
    assert "a.kdump: page tables of the vmemmap: 1, huge pages" in " ".join(result.stdout.split())
    assert "differences: none in what was saved: cannot tell" in result.stdout
    data = as_json("replay", BOOT, after)
    assert (data["verdict"], len(data["not_saved"])) == ("cannot tell", 1)


@pytest.mark.slow
def test_replay_names_the_release_and_what_passed_in_between() -> None:
    result = hvolab("replay", made("riscv64-7.2", "0-boot"), made("riscv64-7.2", "4-restored"))
    assert result.exit_code == 0
    for text in (
        "modeled as release 7.2: chosen by features of the core", "optimized and restored: 8 of 2 MiB",
        "optimized and restored: 1 of 1 GiB, at PFN 0xc0000", "differences: none",
    ):  # fmt: skip
        assert text in result.stdout


def test_the_model_of_a_named_release_is_used() -> None:
    result = hvolab("replay", BOOT, OPTIMIZED_2M, "--release", "7.2", "--json")
    data = fitting("replay", result.stdout)
    assert result.exit_code == 1
    assert (data["release"], data["engine_release"], data["release_choice"]["by"]) == ("7.2", "7.2", "option")
    refusal = hvolab("replay", made("x86_64-7.2", "3-one-1G"), made("x86_64-7.2", "4-restored"), "--release", "6.1")
    assert refusal.exit_code == 1
    assert "BUG_ON() in vmemmap_restore_pte()" in refusal.stderr


@pytest.mark.slow
def test_an_engine_of_another_release_is_named_with_what_differs() -> None:
    outcome = replay(OPTIMIZED_1G, RESTORED, engine=lambda machine: Hvo(machine, release=V6_12_117))
    sentences = list(other_release(outcome))
    assert sentences[0] == "the engine is of release 6.12.117, the cores of 6.12:"
    assert all(sentence.startswith("  only 6.12.117: ") for sentence in sentences[1:])
    assert list(other_release(replay(OPTIMIZED_1G, RESTORED))) == []


def test_an_engine_that_raises_is_a_finding_and_not_wrong_use(tmp_path: Path) -> None:
    source = "from hvolab.hvo import Hvo\nclass Mine(Hvo):\n    def _remap(self, *_):\n        raise KeyError('x')\n"
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    result = hvolab("replay", BOOT, OPTIMIZED_2M, "--engine", f"{tmp_path / 'mine.py'}:Mine")
    assert result.exit_code == 1
    assert "error[engine]: KeyError: 'x'" in result.stderr
    assert "where: Mine._remap() (mine.py:4) < " in result.stderr


@pytest.mark.slow
def test_a_replay_is_recorded_with_its_operations_and_differences(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    after = changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")
    result = hvolab("replay", BOOT, after, "--trace", tmp_path / "steps.json")
    assert result.exit_code == 1
    assert "written" in result.stdout
    (voice,) = json.loads((tmp_path / "steps.json").read_text("utf-8"))["voices"]
    assert len(voice["folios"]) == 8
    assert "optimize 8 folios of order 9" in voice["texts"]
    assert voice["texts"][-1].startswith(f"entry.flags at VA {va_of(FIRST_FOLIO, 3):#x}")
