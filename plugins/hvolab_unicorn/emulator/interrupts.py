# SPDX-License-Identifier: GPL-2.0-only
"""SIGINT during a run of the emulator: the run stops, and KeyboardInterrupt is raised after it.

Python runs the handler of a signal at the next instruction of Python code. During a run of the emulator this is the
first instruction of a callback. There ctypes prints and drops KeyboardInterrupt: the guest misses the effect of the
callback, and continues. The handler here raises nothing below a run. It notes the signal and stops the emulator, and
the caller of the run raises KeyboardInterrupt. The watchdog's thread stops a run without callbacks: the host wakes it.
Finalizers of emulators drop exceptions too: during one, the thread repeats the signal until the finalizer has ended.
"""

from __future__ import annotations

import signal
import sys
import threading
import weakref
from types import FrameType
from typing import Any

from hvolab_unicorn.emulator.library import unicorn


class Interrupts:
    """Handler of SIGINT while there are emulated CPUs. It replaces Python's default handler, and no other.

    noted  True from a signal until KeyboardInterrupt is raised for it
    """

    def __init__(self) -> None:
        self.noted = False

    def install(self, wakeup: int) -> None:
        """Handle SIGINT from now on; the host writes the numbers of signals to the descriptor `wakeup`.

        Does nothing outside the main thread, where Python handles no signals, and where a program handles SIGINT.
        """
        if _is_main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._handle)
            if self.installed:
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
        self.noted = True
        if _stop(frame) is None and not _in_finalizer(frame):
            self.noted = False
            raise KeyboardInterrupt

    def stop_runs(self) -> FrameType | None:
        """Stop the emulators that run in the main thread, from another one; return the innermost run."""
        return _stop(sys._current_frames().get(_main_thread()))  # noqa: SLF001 - it is documented

    def repeat(self) -> None:
        """Send the noted signal again, for the place where the main thread is now."""
        if self.noted:
            signal.pthread_kill(_main_thread(), signal.SIGINT)


def _main_thread() -> int:
    return threading.main_thread().ident or 0


def _is_main_thread() -> bool:
    return threading.get_ident() == _main_thread()


def _stop(frame: FrameType | None) -> FrameType | None:
    """Stop the emulators whose runs `frame` is part of; return the frame of the innermost run, if there is one."""
    code, innermost = unicorn().Uc.emu_start.__code__, None
    while frame is not None:
        if frame.f_code is code:
            frame.f_locals["self"].emu_stop()
            innermost = innermost or frame
        frame = frame.f_back
    return innermost


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
