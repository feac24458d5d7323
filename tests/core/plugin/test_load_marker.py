# SPDX-License-Identifier: GPL-2.0-only
"""Markers of plugins that are being loaded: seen by other processes, left behind only by a start that did not end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hvolab.plugin import PluginOrigin, load_marker
from hvolab.plugin.load_marker import UnfinishedLoad, marked, unfinished_loads

ORIGIN = PluginOrigin("z80", "acme", "acme_z80", "1.0")
OWN = PluginOrigin("x", "hvolab", "hvolab_x")
#: Loads a plugin in a process of its own: ends in the middle of it, or waits there until it is told to go on.
_LOAD = """
import os, sys
from hvolab.plugin.load_marker import marked
from tests.core.plugin.test_load_marker import ORIGIN
with marked(ORIGIN):
    print("loading", flush=True)
    {middle}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    return tmp_path / "loading"


def start(middle: str) -> subprocess.Popen[str]:
    """Start a process that loads the plugin, and wait until it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LOAD.format(middle=middle)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    return process


def test_a_load_that_ends_leaves_nothing(folder: Path) -> None:
    with marked(ORIGIN):
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []
    with pytest.raises(RuntimeError, match="broken"), marked(ORIGIN):
        raise RuntimeError("broken")
    assert list(folder.iterdir()) == []
    assert unfinished_loads() == []


def test_a_start_that_its_plugin_ends_is_reported_once(folder: Path) -> None:
    with start("os._exit(7)") as process:
        assert process.wait() == 7
    assert len(list(folder.iterdir())) == 1
    assert unfinished_loads() == [UnfinishedLoad(ORIGIN)]
    assert unfinished_loads() == []
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_start_that_goes_on_is_reported_after_some_patience(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    with start("sys.stdin.readline()") as process:
        assert unfinished_loads() == []
        monkeypatch.setattr(load_marker, "PATIENCE", 0)
        [unfinished] = unfinished_loads()
        assert (unfinished.origin, unfinished.process) == (ORIGIN, process.pid)
        process.communicate("\n")
    assert (process.returncode, list(folder.iterdir()), unfinished_loads()) == (0, [], [])


def test_an_interrupt_carries_the_name_of_the_plugin(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, marked(ORIGIN):
        raise KeyboardInterrupt
    assert caught.value.__notes__ == [
        "interrupted while plugin 'z80' (distribution 'acme') was loaded; hint: HVOLAB_DISABLE=z80 leaves it out"
    ]
    assert list(folder.iterdir()) == []


def test_hvolabs_own_plugins_need_no_marker(folder: Path) -> None:
    with marked(OWN):
        assert not folder.exists()
    with pytest.raises(KeyboardInterrupt) as caught, marked(OWN):
        raise KeyboardInterrupt
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("content", ["", "{}", json.dumps(["one"]), "[1, 2, 3, 4, 5, 6]"])
def test_a_damaged_marker_is_removed(folder: Path, content: str) -> None:
    folder.mkdir()
    (folder / "1-1.json").write_text(content)
    assert unfinished_loads() == []
    assert list(folder.iterdir()) == []


def test_without_a_folder_to_write_to_plugins_load_without_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path / "file"))
    with marked(ORIGIN):
        pass
    assert unfinished_loads() == []
