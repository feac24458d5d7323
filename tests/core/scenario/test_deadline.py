# SPDX-License-Identifier: GPL-2.0-only
"""Loops that change nothing, and loops that do."""

from __future__ import annotations

import signal
import time
from itertools import count
from threading import Thread

import pytest

from hvolab.invariants import EndlessLoopError
from hvolab.scenario.deadline import deadline


def test_a_loop_that_changes_nothing_is_stopped() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(EndlessLoopError, match="without a change of the machine"), deadline(0.01, lambda: 0):
        time.sleep(60)
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_one_that_makes_progress_goes_on() -> None:
    changes = count()
    with deadline(0.005, lambda: next(changes)):
        while next(changes) < 6:
            time.sleep(0.01)


def test_no_patience_and_other_threads_have_no_deadline() -> None:
    with deadline(0, lambda: 0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0

    def inside() -> None:
        with deadline(0.001, lambda: 0):
            ends.append(1)

    ends: list[int] = []
    thread = Thread(target=inside)
    thread.start()
    thread.join()
    assert ends == [1]
