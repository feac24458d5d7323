# SPDX-License-Identifier: GPL-2.0-only
"""The lesson: each check fails with an empty exercise, and passes with the answer."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.desk import DOCS

LESSON = DOCS / "hvo_in_an_hour"
EXERCISES = 8


@pytest.mark.slow
@pytest.mark.parametrize("answers", ["exercises", "solutions"])
def test_each_check_tells_an_answer_from_none(answers: str, tmp_path: Path) -> None:
    shutil.copy(LESSON / "test_exercises.py", tmp_path)
    shutil.copy(LESSON / f"{answers}.py", tmp_path / "exercises.py")
    run = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(run, check=False, capture_output=True, text=True, cwd=tmp_path)
    outcomes = re.findall(r"^(PASSED|FAILED) .*::test_(\d)", result.stdout, re.MULTILINE)
    assert {int(number) for _, number in outcomes} == set(range(1, EXERCISES + 1)), result.stdout + result.stderr
    assert {outcome for outcome, _ in outcomes} == {"PASSED" if answers == "solutions" else "FAILED"}
