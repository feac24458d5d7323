# SPDX-License-Identifier: GPL-2.0-only
"""Files and folders of commands: what is there is kept, and what cannot be written is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.files import empty_folder, write_bytes, write_text


def test_text_is_written_as_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "π")
    assert (tmp_path / "text").read_bytes() == "π".encode()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"cannot write {tmp_path}: Is a directory"):
        write_bytes(tmp_path, b"")


def test_a_folder_is_made_or_empty(tmp_path: Path) -> None:
    assert empty_folder(tmp_path / "new" / "folder").is_dir()
    assert empty_folder(tmp_path / "new" / "folder").is_dir()


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "mine", "mine")
    with pytest.raises(UsageError, match="is not empty"):
        empty_folder(tmp_path)
    with pytest.raises(UsageError, match=r"cannot make the folder .*mine: "):
        empty_folder(tmp_path / "mine")
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]
