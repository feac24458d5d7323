# SPDX-License-Identifier: GPL-2.0-only
"""End of a loop that changes nothing: an engine of the user may never return."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hvolab.invariants import EndlessLoopError

#: Looks without a change after which the loop is ended.
_LOOKS = 4


@contextmanager
def deadline(seconds: float, changes: Callable[[], int]) -> Iterator[None]:
    """Raise EndlessLoopError in the ``with`` block if so many seconds pass without a change of the machine.

    changes  returns the number of changes so far

    Only in the main thread, which alone receives signals; 0 seconds: never.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return
    seen, idle = changes(), 0

    def look(*_: object) -> None:
        nonlocal seen, idle
        now = changes()
        idle = idle + 1 if now == seen else 0
        if idle == _LOOKS:
            what = f"the engine runs for {seconds:g} seconds without a change of the machine"
            raise EndlessLoopError(what, hint="see the functions of the finding for the loop")
        seen = now

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, seconds / _LOOKS, seconds / _LOOKS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
