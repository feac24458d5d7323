# SPDX-License-Identifier: GPL-2.0-only
"""Watchdog for guests that do not end: one thread checks all running CPUs once a second.

Counting instructions makes an emulator several times as slow, and its own timeout costs a thread and a tenth of a
millisecond for every call. Here a call costs two additions. The watchdog counts its own ticks in the same call, not
seconds: a suspended process has not waited.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

#: Seconds between ticks, and ticks that a call may last. A call takes microseconds, a large copy some milliseconds.
TICK_SECONDS, TICKS = 1.0, 20
#: Words that a slow and busy host processes in a tick.
WORDS_PER_TICK = 1 << 18


class Watch:
    """Calls of one CPU.

    number   count of begins and ends of calls: odd during a call
    ticks    ticks that the call may last
    stopped  `number` when a call was stopped
    """

    __slots__ = ("__weakref__", "_emulator", "_seen", "_ticked", "number", "stopped", "ticks")

    def __init__(self, emulator: Any) -> None:
        self.number = 0
        self.ticks = TICKS
        self.stopped = -1
        self._emulator = weakref.ref(emulator)
        self._seen = -1
        self._ticked = 0

    def tick(self) -> None:
        """Count a tick, and stop a call that has lasted too long: again at each tick, until it has ended."""
        number = self.number
        if number != self._seen:
            self._seen, self._ticked = number, 0
            return
        self._ticked += 1
        if number % 2 and self._ticked >= self.ticks:
            emulator = self._emulator()
            self.stopped = number
            if emulator is not None and self.number == number:
                emulator.emu_stop()


class Watchdog:
    """The thread, which runs while there is an emulator to watch."""

    def __init__(self) -> None:
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, emulator: Any) -> Watch:
        """Watch an emulator until the returned watch is freed."""
        watch = Watch(emulator)
        with self._lock:
            self._watches.add(watch)
            self._start()
        return watch

    def _start(self) -> None:
        if self._thread is None:
            self._end = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._end,), name="hvolab watchdog", daemon=True)
            self._thread.start()

    def _run(self, end: threading.Event) -> None:
        while not end.wait(TICK_SECONDS):
            with self._lock:
                watches = list(self._watches)
                if not watches:
                    self._thread = None
                    return
            for watch in watches:
                watch.tick()
            del watches, watch  # keep no watch alive during the wait

    def pause(self) -> None:
        """End the thread: a process must not fork while it has several."""
        self._lock.acquire()
        thread, self._thread = self._thread, None
        self._end.set()
        self._lock.release()
        if thread is not None:
            thread.join()

    def resume(self) -> None:
        """Start the thread again if there is an emulator to watch, in the parent and in the child of a fork."""
        self._lock = threading.Lock()  # in a child, a thread that it does not have may hold the old one
        with self._lock:
            if len(self._watches):
                self._start()


WATCHDOG = Watchdog()
os.register_at_fork(before=WATCHDOG.pause, after_in_parent=WATCHDOG.resume, after_in_child=WATCHDOG.resume)
