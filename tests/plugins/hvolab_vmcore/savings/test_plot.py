# SPDX-License-Identifier: GPL-2.0-only
"""Plots of savings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_vmcore.savings.plot import write_plot
from hvolab_vmcore.savings.report import report_of_system
from hvolab_vmcore.savings.savings import SavingsReport
from tests.plugins.hvolab_vmcore.savings.machines_on_disk import write_machine


@pytest.fixture
def report(tmp_path: Path) -> SavingsReport:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'hvolab[plot]'")
    return report_of_system(write_machine(tmp_path, {"0/2048": 4}), registry().architectures().values(), None)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG")])
def test_a_plot_is_written_by_the_name_of_the_file(
    tmp_path: Path, report: SavingsReport, name: str, start: bytes
) -> None:
    write_plot(report, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(start)
    if name.endswith("svg"):
        assert b"2 MiB huge pages, 4 KiB base pages: 1.37 %" in content
        assert b"64 KiB base pages" not in content
        write_plot(report, tmp_path / "again.svg")
        assert (tmp_path / "again.svg").read_bytes() == content


@pytest.mark.slow
def test_other_names_and_folders_are_refused(tmp_path: Path, report: SavingsReport) -> None:
    with pytest.raises(UsageError, match=r"cannot be written as 'a.pdf'"):
        write_plot(report, tmp_path / "a.pdf")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        write_plot(report, tmp_path / "none" / "a.svg")
