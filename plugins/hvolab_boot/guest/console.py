# SPDX-License-Identifier: GPL-2.0-only
"""Console of the guest: its log, and the answers of its one process to commands."""

from __future__ import annotations

import errno
import os
import re
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

#: First characters of a line of an answer, and of its last line.
_LINE: Final = "| "
_DONE: Final = re.compile(r"@@DONE (-?\d+)")
_READY: Final = "@@READY"
#: Seconds between two looks at the guest while it prints nothing.
_STEP: Final = 0.1
#: Lines of a kernel that will not print more on its own.
_PANIC: Final = re.compile(r"Kernel panic - not syncing|---\[ end Kernel panic|Attempted to kill init")
#: A CPU that runs no other process any more. Kernel: watchdog_timer_fn() in kernel/watchdog.c, v6.12.
_STUCK: Final = re.compile(r"soft lockup - CPU#\d+ stuck for (\d+)s")
#: Seconds from which on it is taken for hung: 20 s, where the kernel begins to report it, can be a busy computer.
_HUNG: Final = 100


class GuestEnd(Exception):  # noqa: N818 - not an error of hvolab
    """The guest answers no more; the argument is why, in a sentence."""


@dataclass(frozen=True)
class Answer:
    """Answer of the guest: its lines, and the result, 0 or a negative errno."""

    lines: tuple[str, ...]
    result: int

    @property
    def error(self) -> str:
        """Name of the errno, empty for none."""
        return "" if self.result >= 0 else errno.errorcode.get(-self.result, str(-self.result))


@dataclass(frozen=True)
class Patience:
    """Limits of the time for which a guest may print nothing.

    cpu_seconds  seconds that QEMU has run meanwhile: the guest is busy
    seconds      seconds by the clock: the guest waits for something, or this computer is very busy
    """

    cpu_seconds: float = 120.0
    seconds: float = 900.0


DEFAULT_PATIENCE: Final = Patience()


class GuestConsole:
    """The console of a guest.

    log      all lines that are no answers: the kernel's messages until the process starts, a panic, QEMU's own words
    on_line  called with each line of the log
    """

    def __init__(
        self,
        screen: IO[bytes],
        keyboard: IO[bytes],
        cpu_seconds: Callable[[], float],
        patience: Patience,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._screen, self._keyboard, self._cpu_seconds, self._patience = screen, keyboard, cpu_seconds, patience
        self._selector = selectors.DefaultSelector()
        self._selector.register(screen, selectors.EVENT_READ)
        self._rest = b""
        self._lines: list[str] = []
        self._on_line = on_line
        self.log: list[str] = []

    def close(self) -> None:
        """Release what watches the streams."""
        self._selector.close()

    def wait_until_ready(self) -> None:
        """Wait until the guest's process has started; raises GuestEnd."""
        while (line := self._line()) != _READY:
            self._note(line)

    def ask(self, command: str) -> Answer:
        """Send a command and return the answer; raises GuestEnd."""
        try:
            self._keyboard.write(command.encode() + b"\n")
            self._keyboard.flush()
        except OSError:
            raise GuestEnd("QEMU has ended") from None
        lines: list[str] = []
        while True:
            line = self._line()
            if line.startswith(_LINE):
                lines.append(line[len(_LINE) :])
            elif done := _DONE.fullmatch(line):
                return Answer(tuple(lines), int(done[1]))
            elif line != command:  # the terminal repeats what is typed
                self._note(line)

    def _note(self, line: str) -> None:
        self.log.append(line)
        self._on_line(line)
        if _PANIC.search(line):
            self._drain()
            raise GuestEnd("the kernel has panicked")
        if (stuck := _STUCK.search(line)) and int(stuck[1]) >= _HUNG:
            self._drain()
            raise GuestEnd(f"a CPU of the guest is stuck for {stuck[1]} s")

    def _drain(self) -> None:
        """Add what a panicking kernel still prints to the log."""
        end = time.monotonic() + 20 * _STEP
        while time.monotonic() < end and self._read(_STEP):
            pass
        self.log += [*self._lines, *([self._rest.decode("utf-8", "replace")] if self._rest else [])]
        self._lines = []

    def _line(self) -> str:
        """Return the next line; raises GuestEnd where none comes."""
        started, cpu = time.monotonic(), self._cpu_seconds()
        while not self._lines:
            if self._read(_STEP):
                started, cpu = time.monotonic(), self._cpu_seconds()
                continue
            if (busy := self._cpu_seconds() - cpu) > self._patience.cpu_seconds:
                raise GuestEnd(f"the guest has printed nothing while it ran for {busy:.0f} s")
            if (waited := time.monotonic() - started) > self._patience.seconds:
                raise GuestEnd(f"the guest has printed nothing for {waited:.0f} s")
        return self._lines.pop(0)

    def _read(self, seconds: float) -> bool:
        """Read what the guest prints in so many seconds; False: nothing."""
        if not self._selector.select(seconds):
            return False
        got = os.read(self._screen.fileno(), 1 << 16)
        if not got:
            if self._lines:
                return False
            self.log += [self._rest.decode("utf-8", "replace")] if self._rest else []
            self._rest = b""
            raise GuestEnd("QEMU has ended, or the guest has switched off")
        *lines, self._rest = (self._rest + got).split(b"\n")
        self._lines += [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        return True
