# SPDX-License-Identifier: GPL-2.0-only
"""SIGINT during a run of the emulator: the run stops, and KeyboardInterrupt is raised after it.

Python runs the handler of a signal at the next instruction of Python code. During a run of the emulator this is the
first instruction of a callback. There ctypes prints and drops KeyboardInterrupt: the guest misses the effect of the
callback, and continues. The handler here raises nothing below a run. It notes the signal and stops the emulator, and
the caller of the run raises KeyboardInterrupt. The watchdog's thread stops a run without callbacks: the host wakes it.
It stops only the run during which the signal came: the handler reports each signal that it has handled, and a run that
begins later is another one. Finalizers of emulators drop exceptions too: during one, the thread repeats the signal
until the finalizer has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from hvolab_unicorn.emulator.library import unicorn

#: Byte that the handler writes after the numbers of signals that it has handled; no signal has this number.
HANDLED: Final = 0xFF


class Interrupts:
    """Handler of SIGINT while there are emulated CPUs. It replaces Python's default handler, and no other.

    noted  True from a signal until KeyboardInterrupt is raised for it
    """

    def __init__(self) -> None:
        self.noted = False
        self._wakeup = -1

    def install(self, wakeup: int) -> None:
        """Handle SIGINT from now on; the host writes the numbers of signals to the descriptor `wakeup`.

        Does nothing outside the main thread, where Python handles no signals, and where a program handles SIGINT.
        """
        if _is_main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._handle)
            if self.installed:
                self._wakeup = wakeup
                signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def remove(self) -> None:
        """Restore Python's default handler, unless a program has set its own since."""
        if _is_main_thread() and self.installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.set_wakeup_fd(-1)

    @property
    def installed(self) -> bool:
        """True while this is the handler of SIGINT."""
        return signal.getsignal(signal.SIGINT) == self._handle

    def _handle(self, _number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt; below a run or a finalizer, note the signal, and stop the emulators that run."""
        with contextlib.suppress(OSError):  # the pipe is full, and the thread reads it
            os.write(self._wakeup, bytes([HANDLED]))
        self.noted = True
        if _stop(frame) is None and not _in_finalizer(frame):
            self.noted = False
            raise KeyboardInterrupt

    def running(self) -> FrameType | None:
        """Return the innermost run of an emulator in the main thread, from another one."""
        return next(_runs(_main_frame()), None)

    def stop_runs(self) -> FrameType | None:
        """Stop the emulators that run in the main thread, from another one; return the innermost run."""
        return _stop(_main_frame())

    def repeat(self) -> None:
        """Send the noted signal again, for the place where the main thread is now."""
        if self.noted:
            signal.pthread_kill(_main_thread(), signal.SIGINT)


def _main_thread() -> int:
    return threading.main_thread().ident or 0


def _is_main_thread() -> bool:
    return threading.get_ident() == _main_thread()


def _main_frame() -> FrameType | None:
    return sys._current_frames().get(_main_thread())  # noqa: SLF001 - it is documented


def _runs(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of the runs that `frame` is part of, the innermost first."""
    code = unicorn().Uc.emu_start.__code__
    while frame is not None:
        if frame.f_code is code:
            yield frame
        frame = frame.f_back


def _stop(frame: FrameType | None) -> FrameType | None:
    """Stop the emulators whose runs `frame` is part of; return the frame of the innermost run, if there is one."""
    runs = list(_runs(frame))
    for run in runs:
        run.f_locals["self"].emu_stop()
    return runs[0] if runs else None


def _in_finalizer(frame: FrameType | None) -> bool:
    """Return whether `frame` is part of a finalizer, from which an exception does not reach the program."""
    code = weakref.finalize.__call__.__code__
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


INTERRUPTS = Interrupts()


def start(emulator: Any, begin: int, until: int, instructions: int = 0) -> None:
    """Run an emulator from VA `begin` to VA `until`, for at most so many instructions (0: without a limit).

    Raises KeyboardInterrupt after a run during which the process got SIGINT, and UcError.
    """
    try:
        emulator.emu_start(begin, until, 0, instructions)
    finally:
        if INTERRUPTS.noted:
            INTERRUPTS.noted = False
            raise KeyboardInterrupt
