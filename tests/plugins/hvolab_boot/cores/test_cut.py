# SPDX-License-Identifier: GPL-2.0-only
"""A core that was cut says of HVO what the whole one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_boot.cores.cut import cut, text_of
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.scan.releases import open_scan
from tests.plugins.hvolab_boot.guests import OPTIMIZED, RESTORED, scan_of


@pytest.mark.parametrize("core", [OPTIMIZED, RESTORED], ids=["optimized", "restored"])
def test_findings_and_huge_pages_are_kept(core: Path, tmp_path: Path) -> None:
    whole, path = scan_of(core), tmp_path / "cut"
    path.write_bytes(cut(whole))
    small = open_scan(path)
    assert small.kinds() == whole.kinds()
    assert small.savings == whole.savings
    assert small.snapshot.target == whole.snapshot.target
    assert [huge.pfns.tolist() for huge in small.huge_pages] == [huge.pfns.tolist() for huge in whole.huge_pages]


def test_the_text_of_vmcoreinfo_is_kept() -> None:
    info = open_core(RESTORED).vmcoreinfo
    assert info is not None
    assert sorted(text_of(scan_of(RESTORED)).decode().splitlines()) == sorted(f"{k}={v}" for k, v in info.raw.items())
