# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab boot` as a user types it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hvolab.schema import schema_of
from hvolab_boot.judging.result import BootReport
from tests.core.cli.conftest import own_environment

#: Seconds after which QEMU has started, and after which all has ended; a busy machine takes longer.
PATIENCE = 60


def qemu_of(process: int) -> list[int]:
    """The children of a process."""
    return list(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


@pytest.mark.slow
def test_an_interrupt_ends_qemu(bootable: Path) -> None:
    words = [sys.executable, "-m", "hvolab", "boot", str(bootable), "--accel", "tcg"]
    command = ["env", "--default-signal=INT", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=own_environment()
    )
    try:
        end = time.monotonic() + PATIENCE
        while not (qemu := qemu_of(process.pid)) or "qemu" not in Path(f"/proc/{qemu[0]}/comm").read_text():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, "interrupted" in errors) == (130, True)
    assert not any(Path(f"/proc/{one}").exists() for one in qemu)


@pytest.mark.slow
def test_the_json_fits_its_schema(booted: tuple[int, dict[str, Any]]) -> None:
    properties = schema_of(BootReport)["properties"]
    assert set(booted[1]) == set(properties)
