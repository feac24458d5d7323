# SPDX-License-Identifier: GPL-2.0-only
"""QEMU without a guest."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def empty() -> list[str]:
    """The command of a QEMU whose machine has nothing; skips where there is no QEMU."""
    program = "qemu-system-x86_64"
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}: apt-get install qemu-system-x86")
    return [program, "-machine", "none", "-S"]
