# SPDX-License-Identifier: GPL-2.0-only
"""The console of a guest: answers among other lines, and each way in which a guest ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from hvolab_boot.guest.console import GuestConsole, GuestEnd, Patience


@contextmanager
def console(
    text: str, *, ends: bool = False, busy: float = 0.0, patience: Patience | None = None
) -> Iterator[GuestConsole]:
    """A console on which a guest has printed a text; ``busy`` are the seconds that it runs between two looks."""
    screen, guest = os.pipe()
    ear, keyboard = os.pipe()
    os.write(guest, text.encode())
    if ends:
        os.close(guest)
    ran = count(0.0, busy) if busy else count(0.0, 0.0)
    with os.fdopen(screen, "rb", 0) as reading, os.fdopen(keyboard, "wb", 0) as writing:
        made = GuestConsole(reading, writing, lambda: next(ran), patience or Patience())
        yield made
        made.close()
    os.close(ear)
    if not ends:
        os.close(guest)


def test_lines_before_the_process_starts_are_the_log() -> None:
    with console("[    0.0] Linux version 6.12\r\n\r\n@@READY\r\n") as one:
        one.wait_until_ready()
        assert one.log == ["[    0.0] Linux version 6.12", ""]


def test_an_answer_has_its_lines_and_its_result() -> None:
    with console("r /x\n| a\n[  1.0] soft lockup\n| b\n@@DONE -2\n") as one:
        answer = one.ask("r /x")
        assert (answer.lines, answer.result, answer.error) == (("a", "b"), -2, "ENOENT")
        assert one.log == ["[  1.0] soft lockup"]


def test_a_panic_ends_the_wait_with_what_is_still_printed() -> None:
    with console("one\nKernel panic - not syncing: VFS\nCPU: 0\nCall Tr", ends=True) as one:
        with pytest.raises(GuestEnd, match="panicked"):
            one.wait_until_ready()
        assert one.log[-2:] == ["CPU: 0", "Call Tr"]


def test_a_cpu_that_is_stuck_for_long_ends_the_wait() -> None:
    lockup = "watchdog: BUG: soft lockup - CPU#0 stuck for {}s! [init:87]\n"
    text = lockup.format(23) + "| \n" + lockup.format(101) + "RIP: x\n"
    with console(text, ends=True) as one:
        with pytest.raises(GuestEnd, match="a CPU of the guest is stuck for 101 s"):
            one.ask("s 5")
        assert one.log[-1] == "RIP: x"


def test_a_guest_that_switches_off_has_ended() -> None:
    with console("one\ntwo", ends=True) as one:
        with pytest.raises(GuestEnd, match="ended"):
            one.wait_until_ready()
        assert one.log == ["one", "two"]


def test_a_guest_that_runs_and_prints_nothing_hangs() -> None:
    with console("", busy=50.0, patience=Patience(100.0, 1e9)) as one, pytest.raises(GuestEnd, match="while it ran"):
        one.wait_until_ready()


def test_a_guest_that_waits_forever_hangs() -> None:
    with console("", patience=Patience(1e9, 0.01)) as one, pytest.raises(GuestEnd, match="printed nothing for"):
        one.wait_until_ready()


def test_a_command_to_a_guest_that_has_ended_ends() -> None:
    with console("", ends=True) as one, pytest.raises(GuestEnd):
        one.ask("k")
