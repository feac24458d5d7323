# SPDX-License-Identifier: GPL-2.0-only
"""Long commands end at SIGINT, whenever it comes: exit code 130, and a line that says what was done."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.core.cli.conftest import own_environment
from tests.kernel_images import command_for, images_directory

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytestmark = pytest.mark.emulator

IMAGE = "x86_64-6.12"
PATH = images_directory() / f"{IMAGE}.image"  # tests have a cache of their own
NOTHING = "the command has no result"
#: Words of each command, and its last line on standard error.
COMMANDS = {
    "kernel": (("kernel", "IMAGE", "--all"), r"\d+ cases in \d+ of \d+ scenarios were compared, 0 differ"),
    "verify": (("verify",), r"\d+ of \d+ modes were verified"),
    "run": (("run", "--cpu", "emulated", "--memory", "16G", "--hugepages", "2M=4000"), NOTHING),
    "conformance": (("conformance", "x86_64", "arm64", "riscv"), NOTHING),
}
#: Bounds of the seconds from the start of Python to the signal.
EARLIEST, LATEST = 0.3, 6.0
#: Seconds after which a command has missed the signal; it takes a fraction of one, more where the machine is busy.
PATIENCE = 20


def interrupted(words: tuple[str, ...], seconds: float) -> tuple[int, str]:
    """Start a command, interrupt it after so many seconds; return its exit code and standard error."""
    if "IMAGE" in words and not PATH.exists():
        pytest.skip(f"there is no image: {command_for(IMAGE)}")
    # a shell lets processes in the background ignore SIGINT, and the tests may be one
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "hvolab",
        *(str(PATH) if word == "IMAGE" else word for word in words),
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=own_environment(),
    )
    while not handles_interrupts(process.pid):
        assert process.poll() is None, "the command has ended already"
        time.sleep(0.01)
    time.sleep(seconds)
    assert process.poll() is None, "the command has ended already"
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, errors


def handles_interrupts(process: int) -> bool:
    """Return whether a process has begun to handle SIGINT."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> signal.SIGINT - 1 & 1)


def check(name: str, rng: random.Random, times: int, latest: float) -> None:
    words, done = COMMANDS[name]
    for _ in range(times):
        seconds = rng.uniform(EARLIEST, latest)
        code, errors = interrupted(words, seconds)
        assert code == 130, f"after {seconds:.3f} s: {errors}"
        assert re.fullmatch(f"(interrupted: ({done}|{NOTHING})\n)?", errors)  # none while it is imported


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupted_command_ends(name: str) -> None:
    check(name, random.Random(name), 1, 1.0)


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_fifty_interrupts_at_random_end_a_command_each_time(name: str) -> None:
    check(name, random.Random(name), 50, LATEST)
