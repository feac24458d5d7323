# SPDX-License-Identifier: GPL-2.0-only
"""The page of the explorer: its code runs, and the actor that it adds is explored."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.desk import ROOT


@pytest.mark.slow
def test_the_code_of_the_page_runs_from_top_to_bottom() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "explorer.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    code = "\n".join([*blocks, "print(mine.actors[1])"])
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "reader A.64 A.70\n"), ended.stderr
