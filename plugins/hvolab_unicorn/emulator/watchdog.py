# SPDX-License-Identifier: GPL-2.0-only
"""Watchdog for guests that do not end: one thread checks all running CPUs once a second.

Counting instructions makes an emulator several times as slow, and its own timeout costs a thread and a tenth of a
millisecond for every call. Here a call costs two additions. The watchdog counts its own ticks in the same call, not
seconds: a suspended process has not waited. The host wakes the thread for a signal, see `interrupts`.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
import weakref
from typing import Any

from hvolab_unicorn.emulator.interrupts import HANDLED, INTERRUPTS, Interrupts

#: Seconds between ticks, and ticks that a call may last. A call takes microseconds, a large copy some milliseconds.
TICK_SECONDS, TICKS = 1.0, 20
#: Seconds between attempts to stop an interrupted run: one comes too early if the run has not begun yet.
_STOP_SECONDS = 0.005
_SIGNAL = bytes([signal.SIGINT])
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

    def __init__(self, interrupts: Interrupts) -> None:
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._interrupts = interrupts
        self._lock = threading.Lock()
        self._pipe = _Pipe()
        self._thread: threading.Thread | None = None

    def watch(self, emulator: Any) -> Watch:
        """Watch an emulator until the returned watch is freed."""
        watch = Watch(emulator)
        weakref.finalize(watch, self._freed).atexit = False
        with self._lock:
            self._watches.add(watch)
            self._start()
        return watch

    def _start(self) -> None:
        self._interrupts.install(self._pipe.write)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(self._pipe,), name="hvolab watchdog", daemon=True)
            self._thread.start()

    def _freed(self) -> None:
        """Restore the handler of signals when the last watch was freed."""
        if not list(self._watches):
            self._interrupts.remove()

    def _run(self, pipe: _Pipe) -> None:
        tick = time.monotonic() + TICK_SECONDS
        while True:
            numbers = pipe.read(tick - time.monotonic())
            if self._thread is not threading.current_thread():
                return
            self._interrupt(pipe, numbers)
            if time.monotonic() < tick:
                continue
            tick = time.monotonic() + TICK_SECONDS
            with self._lock:
                watches = list(self._watches)
                if not watches:
                    self._thread = None
                    return
            for watch in watches:
                watch.tick()
            del watches, watch  # keep no watch alive during the wait

    def _interrupt(self, pipe: _Pipe, numbers: bytes) -> None:
        """Stop what the main thread runs, until it has raised KeyboardInterrupt for a signal.

        numbers  what the pipe had of such signals. One that has not been handled has come during the run that is under
                 way now, or during none.
        """
        while numbers.endswith(_SIGNAL) and (run := self._interrupts.running()) is not None:
            numbers = pipe.read(0.0)
            while not numbers and self._interrupts.running() is run:
                self._interrupts.stop_runs()
                time.sleep(_STOP_SECONDS)
        while self._interrupts.noted:
            time.sleep(_STOP_SECONDS)
            if self._interrupts.stop_runs() is None:
                self._interrupts.repeat()

    def pause(self) -> None:
        """End the thread: a process must not fork while it has several."""
        self._lock.acquire()
        thread, self._thread = self._thread, None
        self._lock.release()
        if thread is not None:
            self._pipe.wake()
            thread.join()

    def resume(self) -> None:
        """Start the thread again if there is an emulator to watch."""
        with self._lock:
            if len(self._watches):
                self._start()

    def resume_in_child(self) -> None:
        """Start the thread again in the child of a fork, which must not read what the host writes for its parent."""
        self._lock = threading.Lock()  # a thread that the child does not have may hold the old one
        self._interrupts.noted = False
        before, self._pipe = self._pipe, _Pipe()
        self.resume()
        if not len(self._watches):
            self._interrupts.remove()
        del before  # only now: the host writes to it no more


class _Pipe:
    """Bytes that wake the thread: numbers of signals, which the host writes, HANDLED, and zeros."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        weakref.finalize(self, _close, self._read, self.write).atexit = False  # the thread waits until the end

    def read(self, seconds: float) -> bytes:
        """Return what was written about SIGINT, its number and HANDLED, after so many seconds at most."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, seconds))
        written = os.read(self._read, 64) if ready else b""
        return bytes(number for number in written if number in (signal.SIGINT, HANDLED))

    def wake(self) -> None:
        """Wake the thread."""
        os.write(self.write, bytes(1))


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


WATCHDOG = Watchdog(INTERRUPTS)
os.register_at_fork(before=WATCHDOG.pause, after_in_parent=WATCHDOG.resume, after_in_child=WATCHDOG.resume_in_child)
