# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab page`: what the dump lacks is named."""

from __future__ import annotations

import pytest

from hvolab.cli.output import show
from hvolab_vmcore.commands.page_report import render
from hvolab_vmcore.page.view import view_page
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, scanned


def test_what_the_dump_lacks_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    show(render(view_page(scanned(OPTIMIZED_2M), 0x54E4)))
    assert "number 36 in frame 0xbcf53, not in the dump" in capsys.readouterr().out
    show(render(view_page(scanned(OPTIMIZED_2M), 1 << 32)))
    output = capsys.readouterr().out
    assert "not mapped" in output
    assert "stores       cannot tell" in output
    assert "offset" not in output
