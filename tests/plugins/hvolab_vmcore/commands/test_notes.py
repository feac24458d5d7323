# SPDX-License-Identifier: GPL-2.0-only
"""Sentences about a core."""

from __future__ import annotations

from hvolab_vmcore.commands.notes import assumptions, headline
from tests.plugins.hvolab_vmcore.changed_cores import BOOT, OPTIMIZED_1G, scanned


def test_the_headline_names_kernel_architecture_and_mode() -> None:
    assert headline(scanned(BOOT).snapshot) == "6.12.107+deb13-amd64, x86_64, 4-level"


def test_frames_that_are_not_in_the_core_are_counted() -> None:
    assert "8128 frames" in assumptions(scanned(OPTIMIZED_1G))[0]
