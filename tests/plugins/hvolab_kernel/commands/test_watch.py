# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab watch` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hvolab_kernel.cli_runner import hvolab
from tests.plugins.hvolab_kernel.commands.developer_files import SLIP, developer_files

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@pytest.mark.slow
def test_one_run_ends_with_the_exit_code_of_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = developer_files(tmp_path, monkeypatch)
    command = ("watch", files.image, files.source, "--headers", files.headers, "--cc", "gcc", "--once")
    assert hvolab(*command, "--scenario", "2M boot: optimize twice").exit_code == 0
    files.edit(*SLIP)
    result = hvolab(*command, "--scenario", "2M boot: optimize twice")
    assert result.exit_code == 1
    assert "nr_memmap_pages" in result.stdout


def test_without_headers_it_ends_with_2(image: Path, tmp_path: Path) -> None:
    result = hvolab("watch", image, tmp_path / "hugetlb_vmemmap.c", "--once")
    assert result.exit_code == 2
    assert "there are no headers of" in result.stderr
