# SPDX-License-Identifier: GPL-2.0-only
"""Output of savings: rows of the machine's own base pages stand out, and unknown values are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.cli.output import show
from hvolab.plugin import registry
from hvolab_vmcore.commands.savings_report import render
from hvolab_vmcore.savings.report import report_of_system
from tests.plugins.hvolab_vmcore.savings.machines_on_disk import write_machine


def test_unknown_values_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_machine(tmp_path, {"0/2048": 3, "1/2048": 0})
    show(render(report_of_system(root, registry().architectures().values(), None)))
    output = capsys.readouterr().out
    assert "2 MiB     0           3  cannot tell  cannot tell      84 KiB" in output
    assert "2 MiB     1           0            0      0 bytes     0 bytes" in output
