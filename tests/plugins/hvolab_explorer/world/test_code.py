# SPDX-License-Identifier: GPL-2.0-only
"""Engines whose instructions are steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.runs.run import code_engine
from hvolab_explorer.world.code import CodeEngineMaker
from hvolab_kernel import make_engine


def test_the_model_has_no_code() -> None:
    assert code_engine("model", None, None, None) is None


def test_a_kernels_code_can_be_explored() -> None:
    assert isinstance(make_engine, CodeEngineMaker)


def test_an_engine_in_a_file_has_steps_that_are_not_known(tmp_path: Path) -> None:
    path = tmp_path / "engine.py"
    path.write_text("from hvolab.hvo import Hvo\n\n\nclass Mine(Hvo):\n    pass\n")
    with pytest.raises(UsageError, match=r"the steps of the engine .* are not known"):
        code_engine(f"{path}:Mine", None, None, None)
