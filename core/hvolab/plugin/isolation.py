# SPDX-License-Identifier: GPL-2.0-only
"""Isolation of the code of plugins: its exceptions, its output and its changes to the process stay its own."""

from __future__ import annotations

import fcntl
import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import IO, Any, Final

from hvolab.errors import PluginError
from hvolab.plugin.process_state import save_process_state
from hvolab.plugin.report import PluginOrigin, raised_at, sentence

_STDIN, _STDOUT, _STDERR = 0, 1, 2
#: Copies of descriptors are above those that a plugin may expect to be the next free ones.
_COPIES_FROM: Final = 100


@contextmanager
def blaming(origin: PluginOrigin, complaint: str) -> Iterator[None]:
    """Turn any exception of the plugin's code inside the block into a PluginError that begins with `complaint`.

    SystemExit and exceptions outside of Exception, such as a panic of Rust code, are among them: a plugin must not end
    its host. KeyboardInterrupt is the user's and passes. The code of other distributions than hvolab's is isolated.
    """
    try:
        with nullcontext() if origin.is_own else isolated():
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{complaint}: {sentence(error)}", where=raised_at(error, origin.package)) from error


@contextmanager
def isolated() -> Iterator[None]:
    """Send to standard error what the block prints, let it read nothing, and restore the state of the process after it.

    A process that the block forks ends where the block ends.
    """
    process, streams = os.getpid(), (sys.stdout, sys.__stdout__)
    _flush(*streams)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.callback(save_process_state())
        stack.enter_context(_diverted_descriptors())
        stack.callback(_flush, *streams, *_divert_streams())
        stack.callback(_end_if_forked, process)
        yield


def _end_if_forked(process: int) -> None:
    if os.getpid() != process:
        os._exit(0)


def _divert_streams() -> list[io.TextIOWrapper]:
    """Replace Python's standard streams and return those of output; process_state restores the attributes of sys."""
    made = [_text(_Sink(sys.stderr)) for _ in range(2)]
    sys.stdout, sys.stderr = made
    sys.__stdout__, sys.__stderr__ = made  # type: ignore[misc]
    sys.stdin = sys.__stdin__ = _text(io.BytesIO())  # type: ignore[misc]
    return made


@contextmanager
def _diverted_descriptors() -> Iterator[None]:
    """Send to standard error what programs and compiled code write to standard output; empty standard input."""
    copies = {descriptor: _copy(descriptor) for descriptor in (_STDIN, _STDOUT, _STDERR)}
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(null, _STDIN)
        os.dup2(null if copies[_STDERR] is None else _STDERR, _STDOUT)
        yield
    finally:
        for descriptor, copy in copies.items():
            with suppress(OSError):
                if copy is None:
                    os.close(descriptor)
                else:
                    os.dup2(copy, descriptor)
                    os.close(copy)
        if null not in copies:
            with suppress(OSError):
                os.close(null)


def _copy(descriptor: int) -> int | None:
    """Return a copy of a descriptor; None if it is closed."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _COPIES_FROM)
    except OSError:
        return None


def _flush(*streams: IO[str] | None) -> None:
    """Write what Python's streams and those of C hold back, to where the descriptors lead now."""
    for stream in streams:
        with suppress(OSError, ValueError):  # ValueError: it is closed
            if stream is not None:
                stream.flush()
    ctypes: Any = sys.modules.get("ctypes")
    if ctypes is not None:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).fflush(None)


def _text(stream: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream, "utf-8", "backslashreplace", line_buffering=True, write_through=True)


class _Sink(io.RawIOBase):
    """A stream of bytes whose content another stream of text receives; closing it does not close that one."""

    def __init__(self, target: IO[str] | None) -> None:
        super().__init__()
        self._target = target

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of standard error."""
        return _STDERR

    def write(self, data: Any, /) -> int:
        """Write bytes as text; without a target they are lost, as on a closed standard error."""
        with suppress(OSError, ValueError):
            if self._target is not None:
                self._target.write(bytes(data).decode("utf-8", "backslashreplace"))
                self._target.flush()
        return len(data)
