# SPDX-License-Identifier: GPL-2.0-only
"""The report of a boot as text."""

from __future__ import annotations

from dataclasses import replace

from hvolab.cli.output import as_text
from hvolab_boot.commands.report import render
from hvolab_boot.judging.result import BootFinding, PairReport, VoiceReport
from tests.plugins.hvolab_boot.guests import report


def test_a_report_without_findings() -> None:
    voices = (VoiceReport("model", "no differences", 9, 0, ""), VoiceReport("own code", "differences", 9, 3, ""))
    text = as_text(render(replace(report(), pairs=(PairReport("boot", "shrink", "6.12", voices),))))
    assert "6.12.117, x86_64, 4-level; 1 GiB of memory, 2 CPUs, emulated" in text
    assert "8 of 2M" in text
    assert "3 differ" in text
    assert text.endswith("No problems found.")


def test_findings_come_with_the_log() -> None:
    finding = BootFinding("bad-page", "log", "shrink", 46, "the kernel reports a bad page")
    text = as_text(render(replace(report(), findings=(finding,), log=("BUG: Bad page state",))))
    assert "bad-page (46) after shrink: the kernel reports a bad page" in text
    assert "\n  BUG: Bad page state\n" in text
    assert text.endswith("Problems found.")
