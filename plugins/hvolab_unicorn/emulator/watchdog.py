"""Stops guests that do not come to an end: one thread looks at all running CPUs from time to time.

An emulator that counts instructions is several times as slow, and its own timeout takes a thread and a tenth of a
millisecond for every call. Here a call costs two additions. What is counted are ticks that fall into the same call, not
seconds: a process that was suspended meanwhile has not waited.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

#: Seconds from one tick to the next, and how many of them a call may last. A call takes microseconds, a large copy
#: some milliseconds.
TICK_SECONDS, TICKS = 1.0, 20
#: Words that a slow and busy host has done at the next tick.
WORDS_PER_TICK = 1 << 18


class Watch:
    """The calls of one CPU as the watchdog sees them.

    number   of begins and ends of calls: odd while one is on
    ticks    how many of them the call may last
    stopped  ``number`` when a call was stopped
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
        """Count, and stop a call that has lasted too long: again at each tick, until it has ended."""
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
    """The thread: there while there is somebody to watch."""

    def __init__(self) -> None:
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, emulator: Any) -> Watch:
        """Watch an emulator for as long as the answer is held."""
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
            del watches, watch  # holds nobody while it waits

    def pause(self) -> None:
        """End the thread: a process must not fork while it has several."""
        self._lock.acquire()
        thread, self._thread = self._thread, None
        self._end.set()
        self._lock.release()
        if thread is not None:
            thread.join()

    def resume(self) -> None:
        """Start it again where somebody is to be watched, in a parent as in a child."""
        self._lock = threading.Lock()  # a child's may be held by a thread that it does not have
        with self._lock:
            if len(self._watches):
                self._start()


WATCHDOG = Watchdog()
os.register_at_fork(before=WATCHDOG.pause, after_in_parent=WATCHDOG.resume, after_in_child=WATCHDOG.resume)
