# SPDX-License-Identifier: GPL-2.0-only
"""The room in which pages are followed, one for all of them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs.stranger import StrangerRoom


@pytest.fixture(scope="session")
def stranger_room(tmp_path_factory: pytest.TempPathFactory) -> StrangerRoom:
    """Where virtual environments are made, by uv: each in a fraction of pip's time."""
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if uv is None:
        pytest.skip("no uv: pip install uv")
    return StrangerRoom(tmp_path_factory.mktemp("stranger"), uv)
