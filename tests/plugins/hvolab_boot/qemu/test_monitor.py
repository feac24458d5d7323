# SPDX-License-Identifier: GPL-2.0-only
"""Commands to QEMU, and its refusals."""

from __future__ import annotations

import pytest

from hvolab_boot.qemu.monitor import QemuError
from hvolab_boot.qemu.process import Qemu


def test_a_command_returns_its_result(empty: list[str]) -> None:
    with Qemu(empty) as qemu:
        assert qemu.monitor.execute("query-status")["running"] is False


def test_a_refusal_has_qemus_words(empty: list[str]) -> None:
    with Qemu(empty) as qemu, pytest.raises(QemuError, match="refuses dump-guest-memory"):
        qemu.monitor.execute("dump-guest-memory", paging=False, protocol="nonsense:x")


def test_a_monitor_that_is_gone_is_an_error(empty: list[str]) -> None:
    with Qemu(empty) as qemu:
        qemu.process.kill()
        qemu.process.wait()
        with pytest.raises(QemuError, match="closed its monitor"):
            qemu.monitor.execute("query-status")
