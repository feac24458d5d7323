# SPDX-License-Identifier: GPL-2.0-only
"""Files and folders that a command writes; what cannot be written is an error of its user."""

from __future__ import annotations

from pathlib import Path

from hvolab.errors import UsageError


def write_text(path: Path, text: str) -> None:
    """Write a file of text; raises UsageError if that fails."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; raises UsageError if that fails."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another file") from error


def empty_folder(folder: Path) -> Path:
    """Make a folder, with those above it, or take one that is there and empty; returns it.

    Raises UsageError for one that is not empty or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}", hint="choose another folder") from error
    if used:
        raise UsageError(f"the folder {folder} is not empty", hint="name a new folder, or one that is empty")
    return folder
