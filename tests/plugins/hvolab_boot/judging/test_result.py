# SPDX-License-Identifier: GPL-2.0-only
"""The verdict of a report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.serialize import as_data
from hvolab_boot.judging.result import BootFinding, PairReport, VoiceReport
from tests.plugins.hvolab_boot.guests import report

FINDING = BootFinding("early-end", "guest", "boot", 1, "the kernel has panicked")


@pytest.mark.parametrize(
    ("voice", "findings", "verdict"),
    [
        ("no differences", (), "no problems"),
        ("not run", (), "cannot tell"),
        ("cannot tell", (), "cannot tell"),
        ("not run", (FINDING,), "problems"),
    ],
)
def test_what_was_not_repeated_is_never_taken_for_right(
    voice: str, findings: tuple[BootFinding, ...], verdict: str
) -> None:
    one = VoiceReport("model", voice, 1, 0, "")  # type: ignore[arg-type]
    made = replace(report(), pairs=(PairReport("boot", "then", "6.12", (one,)),), findings=findings)
    assert made.verdict == as_data(made)["verdict"] == verdict
