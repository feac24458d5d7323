# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's process ends with its context, and with whatever ends it early."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_boot.qemu.monitor import QemuError
from hvolab_boot.qemu.process import Qemu


def ended(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


def test_it_has_a_group_of_its_own_and_ends_with_the_context(empty: list[str]) -> None:
    with Qemu(empty) as qemu:
        assert int(Path(f"/proc/{qemu.process.pid}/stat").read_text().rpartition(")")[2].split()[2]) == qemu.process.pid
        assert qemu.cpu_seconds >= 0
    assert ended(qemu.process.pid)
    assert qemu.cpu_seconds == 0


def test_an_interrupt_ends_it(empty: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Qemu(empty) as qemu:
        raise KeyboardInterrupt
    assert ended(qemu.process.pid)


def test_its_own_words_are_in_the_error(empty: list[str]) -> None:
    with pytest.raises(QemuError, match=r"ends at once: .*unsupported machine"):
        Qemu([empty[0], "-machine", "nonsense"])


def test_a_program_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(QemuError, match="cannot be started"):
        Qemu(["qemu-system-none"])
