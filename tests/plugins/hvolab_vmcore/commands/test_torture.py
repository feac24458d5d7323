# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab torture` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugins.hvolab_vmcore.command_line import assert_refused, hvolab


@pytest.mark.slow
def test_dumps_are_listed_and_the_answers_are_in_the_folder(tmp_path: Path) -> None:
    result = hvolab("torture", tmp_path / "dumps", "--arch", "riscv")
    assert result.exit_code == 0
    assert "riscv-Sv57-6.12-elf.core" in result.stdout
    answers = json.loads((tmp_path / "dumps" / "answers.json").read_text("utf-8"))
    assert {one["architecture"] for one in answers["dumps"]} == {"riscv"}
    inspected = hvolab("inspect", tmp_path / "dumps" / answers["dumps"][0]["file"])
    assert inspected.exit_code == 0
    assert_refused("is not empty", "torture", tmp_path / "dumps")
    assert_refused("no architecture is called 'vax'", "torture", tmp_path / "other", "--arch", "vax")
