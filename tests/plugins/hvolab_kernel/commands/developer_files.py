# SPDX-License-Identifier: GPL-2.0-only
"""A developer's copy of an image's own file, for commands that compile it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel_headers import headers_command, headers_of
from tests.kernel_images import headers_directory, images_directory

NAME = "x86_64-6.12"
#: A slip: the counter does not know the new head page.
SLIP = ("\tmemmap_pages_add(1);\n", "")


@dataclass(frozen=True)
class DeveloperFiles:
    """An image, its headers, and a copy of its file."""

    image: Path
    headers: Path
    source: Path

    def edit(self, old: str, new: str) -> None:
        text = self.source.read_text()
        assert text.count(old) == 1
        self.source.write_text(text.replace(old, new))


def developer_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> DeveloperFiles:
    """Copy the file into a folder; skips without image, headers or compiler."""
    monkeypatch.delenv("HVOLAB_CACHE_DIR", raising=False)
    image, headers = images_directory() / f"{NAME}.image", headers_of(NAME, headers_directory())
    if not image.exists() or headers is None:
        pytest.skip(f"there are no headers: {headers_command(NAME)}")
    if shutil.which("gcc") is None or os.uname().machine != "x86_64":
        pytest.skip("there is no compiler of x86_64: apt-get install gcc")
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(folder / "cache"))
    (folder / "mm").mkdir()
    for kind in ("c", "h"):
        shutil.copy(headers.mm / f"hugetlb_vmemmap.{kind}", folder / "mm")
    return DeveloperFiles(image, headers.mm.parent, folder / "mm/hugetlb_vmemmap.c")
