# SPDX-License-Identifier: GPL-2.0-only
"""A stranger's site directory on the path of the interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.plugin.site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site directory, first on sys.path."""
    for name in ("HVOLAB_STRICT", "HVOLAB_DISABLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    strangers = Site(tmp_path)
    yield strangers
    strangers.forget_modules()
