# SPDX-License-Identifier: GPL-2.0-only
"""Files that are watched: a save ends the wait, however the editor writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hvolab_kernel.build import watch
from hvolab_kernel.build.watch import stamps, wait_for_change, watched


def write(path: Path) -> None:
    path.write_text("longer")


def replace(path: Path) -> None:
    path.unlink()
    time.sleep(0.02)  # for a moment there is none
    new = path.with_suffix(".swp")
    new.write_text("x")
    new.rename(path)


@pytest.mark.parametrize("save", [write, replace])
def test_a_save_ends_the_wait(save: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_INTERVAL", 0.005)
    source = tmp_path / "a.c"
    source.write_text("x")
    before = stamps([source])
    waiting = threading.Thread(target=wait_for_change, args=(before,), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    save(source)
    waiting.join(10)
    assert not waiting.is_alive()
    assert stamps([source]) != before


def test_headers_next_to_the_file_are_watched(tmp_path: Path) -> None:
    for name in ("a.c", "b.c", "b.h", "a.h"):
        (tmp_path / name).touch()
    assert [path.name for path in watched(tmp_path / "a.c")] == ["a.c", "a.h", "b.h"]
