# SPDX-License-Identifier: GPL-2.0-only
"""Process of QEMU: in a process group of its own, and stopped whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from hvolab_boot.qemu.monitor import Monitor, QemuError

#: Seconds between two looks for the monitor's socket, and until it must be there.
_STEP: Final = 0.05
_PATIENCE: Final = 120.0
#: Fields of /proc/PID/stat, counted after the name: user and system time in clock ticks.
_TIMES: Final = slice(11, 13)


class Qemu:
    """QEMU with a guest on its standard input and output, as a context manager that stops it.

    command  program and arguments, without those for console and monitor
    process  the process
    monitor  connection to its monitor
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hvolab-qemu-")
        socket = Path(self._folder.name) / "qmp"
        self.command = [
            *_with_parent(),
            *command,
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
            *("-qmp", f"unix:{socket},server=on,wait=off"),
        ]
        try:
            self.process = subprocess.Popen(  # noqa: S603 - QEMU, with arguments made here
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                process_group=0,
            )
        except OSError as error:
            self._folder.cleanup()
            raise QemuError(f"{command[0]} cannot be started: {error}") from error
        try:
            self.monitor = self._connect(socket)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.monitor.close()
        self.stop()

    @property
    def input(self) -> IO[bytes]:
        """Keyboard of the guest's console."""
        assert self.process.stdin is not None  # noqa: S101 - it is a pipe
        return self.process.stdin

    @property
    def output(self) -> IO[bytes]:
        """Screen of the guest's console, and QEMU's own messages."""
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        return self.process.stdout

    @property
    def cpu_seconds(self) -> float:
        """Seconds that its threads have run."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text("ascii", errors="replace")
        except OSError:
            return 0.0
        return sum(map(int, stat.rpartition(")")[2].split()[_TIMES])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Kill the process group, and wait until it has ended."""
        while True:
            try:
                if self.process.poll() is None:
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                break
            except KeyboardInterrupt:  # a second Ctrl-C: first the process, then the interrupt
                continue
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self._folder.cleanup()

    def _connect(self, socket: Path) -> Monitor:
        """Return the monitor as soon as QEMU listens; raises QemuError with QEMU's words where it ends before."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                return Monitor(socket)
            except OSError:
                if self.process.poll() is not None:
                    words = self.output.read().decode("utf-8", "replace").strip()
                    raise QemuError(f"QEMU ends at once: {words}", where=" ".join(self.command)) from None
                time.sleep(_STEP)
        raise QemuError("QEMU does not listen on its monitor", where=str(socket))


def _with_parent() -> list[str]:
    """Return the command that makes a process end with this one, even where this one is killed."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL"] if found else []
