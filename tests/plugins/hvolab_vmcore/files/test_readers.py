# SPDX-License-Identifier: GPL-2.0-only
"""Readers of the formats: each is found, and leaves files of other formats to the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.files.content import open_content
from hvolab_vmcore.files.dump import DumpInput
from hvolab_vmcore.files.readers import READERS


@pytest.mark.parametrize("name", list(READERS))
def test_a_file_of_another_format_is_left_to_others(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.core"
    path.write_bytes(b"garbage" * 1000)
    assert READERS[name](DumpInput((path,), (open_content(path),))) is None
