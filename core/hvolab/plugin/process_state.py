# SPDX-License-Identifier: GPL-2.0-only
"""State of the whole process that the code of a plugin can change: saved before it runs, restored after.

What cannot be restored: threads, functions registered with atexit, descriptors other than 0, 1 and 2, hard limits of
resources, and attributes of modules other than sys, builtins and os.
"""

from __future__ import annotations

import builtins
import gc
import locale
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any, Final

#: A function that reads a piece of state and returns the function that restores it.
_Piece = Callable[[], Callable[[], None]]
_NUMPY_DEFAULTS: Final = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_ABSENT: Final = object()
#: The signals with a meaning of their own; those behind are for the programs that agree on them.
_SIGNALS: Final = range(1, signal.SIGRTMIN)


def save_process_state() -> Callable[[], None]:
    """Return a function that restores the present state of the process; call it in the same thread."""
    restorers = [read() for read in _PIECES]

    def restore() -> None:
        for put_back in restorers:
            # a folder that was removed, a limit below what is in use, a half imported module: the rest is restored
            with suppress(OSError, ValueError, AttributeError, RecursionError, locale.Error):
                put_back()

    return restore


def _value(read: Callable[[], Any], write: Callable[[Any], object]) -> _Piece:
    """Return the piece of state that a pair of functions reads and writes."""

    def piece() -> Callable[[], None]:
        before = read()

        def restore() -> None:
            if read() != before:
                write(before)

        return restore

    return piece


def _attributes(module: ModuleType) -> _Piece:
    """Return the attributes of a module as a piece of state; those that are added stay."""

    def piece() -> Callable[[], None]:
        present = vars(module)
        before = dict(present)

        def restore() -> None:
            for name, value in before.items():
                if present.get(name, _ABSENT) is not value:
                    present[name] = value

        return restore

    return piece


def _modules() -> Callable[[], None]:
    """Save the imported modules; those that are added stay, except for None, which bars an import."""
    before: dict[str, Any] = dict(sys.modules)

    def restore() -> None:
        added: dict[str, Any] = {name: sys.modules[name] for name in sys.modules.keys() - before.keys()}
        for name in (name for name, module in added.items() if module is None):
            del sys.modules[name]
        if any(sys.modules.get(name, _ABSENT) is not module for name, module in before.items()):
            sys.modules.update(before)

    return restore


def _import_paths() -> Callable[[], None]:
    """Save the lists by which modules are found. Additions come last, where they hide no module of anybody else."""
    lists: tuple[list[Any], ...] = (sys.path, sys.meta_path, sys.path_hooks)
    before = [list(each) for each in lists]

    def restore() -> None:
        for each, entries in zip(lists, before, strict=True):
            if each != entries:
                each[:] = [*entries, *(entry for entry in each if entry not in entries)]

    return restore


def _arguments() -> Callable[[], None]:
    """Save the arguments of the program: the list may be changed in place."""
    arguments, before = sys.argv, list(sys.argv)

    def restore() -> None:
        arguments[:] = before

    return restore


def _environment() -> Callable[[], None]:
    """Save the environment."""
    before = dict(os.environ)

    def restore() -> None:
        if os.environ != before:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)

    return restore


def _signals() -> Callable[[], None]:
    """Save the handlers of signals and the timer of SIGALRM; Python lets the main thread alone set them."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    armed = signal.getitimer(signal.ITIMER_REAL)

    def restore() -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        if (armed[0] > 0) != (signal.getitimer(signal.ITIMER_REAL)[0] > 0):
            signal.setitimer(signal.ITIMER_REAL, *armed)
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)

    return restore


def _logging() -> Callable[[], None]:
    """Save level and handlers of the root logger; the defaults if nothing has imported logging yet."""
    imported = sys.modules.get("logging")
    level, handlers, disable = 30, [], 0
    if imported is not None:
        level, handlers, disable = imported.root.level, list(imported.root.handlers), imported.root.manager.disable

    def restore() -> None:
        module = sys.modules.get("logging")
        if module is not None and (module.root.level, module.root.handlers) != (level, handlers):
            module.root.setLevel(level)
            module.root.handlers[:] = handlers
        if module is not None:
            module.root.manager.disable = disable

    return restore


def _numpy_errors() -> Callable[[], None]:
    """Save what numpy does after errors of arithmetic; its defaults if nothing has imported numpy yet."""
    imported = sys.modules.get("numpy")
    before = dict(_NUMPY_DEFAULTS) if imported is None else imported.geterr()

    def restore() -> None:
        numpy = sys.modules.get("numpy")
        if numpy is not None and numpy.geterr() != before:
            numpy.seterr(**before)

    return restore


def _limits() -> Callable[[], None]:
    """Save the soft limits of resources; a hard limit that was lowered cannot be raised again."""
    kinds = [value for name, value in vars(resource).items() if name.startswith("RLIMIT_")]
    before = {kind: resource.getrlimit(kind) for kind in kinds}

    def restore() -> None:
        for kind, (soft, hard) in before.items():
            now = resource.getrlimit(kind)
            if now != (soft, hard):
                resource.setrlimit(kind, (soft, now[1]))

    return restore


def _folder() -> str | None:
    """Return the current folder, None if it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - a Path is not needed
    except OSError:
        return None


def _enter(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _umask() -> int:
    """Return the mask of new files' modes, which only setting it reveals."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _collector() -> tuple[bool, tuple[int, int, int]]:
    return gc.isenabled(), gc.get_threshold()


def _set_collector(state: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if state[0] else gc.disable)()
    gc.set_threshold(*state[1])


_PIECES: Final[tuple[_Piece, ...]] = (
    _attributes(sys),
    _attributes(builtins),
    _attributes(os),
    _modules,
    _import_paths,
    _arguments,
    _environment,
    _value(_folder, _enter),
    _value(_umask, os.umask),
    _signals,
    _value(
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda blocked: signal.pthread_sigmask(signal.SIG_SETMASK, blocked),
    ),
    _limits,
    _logging,
    _numpy_errors,
    _value(lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    _value(_collector, _set_collector),
    _value(sys.getrecursionlimit, sys.setrecursionlimit),
    _value(sys.getswitchinterval, sys.setswitchinterval),
    _value(sys.getdlopenflags, sys.setdlopenflags),
    _value(sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    _value(sys.gettrace, sys.settrace),
    _value(sys.getprofile, sys.setprofile),
)
