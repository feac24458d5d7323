# SPDX-License-Identifier: GPL-2.0-only
"""A cache of their own, and a kernel image built by hand, for tests of opening and caching."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.user_cache import CACHE_VARIABLE
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, bzimage, elf_image


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(elf_image(MadeUp(), per_cpu=b"per-CPU")))
    return path
