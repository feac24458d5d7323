# SPDX-License-Identifier: GPL-2.0-only
"""Isolation of plugins' code: exceptions of every kind, output by every way, streams that are replaced or closed."""

from __future__ import annotations

import asyncio
import ctypes
import io
import os
import subprocess
import sys
import warnings

import pytest

from hvolab.errors import PluginError
from hvolab.plugin import PluginOrigin
from hvolab.plugin.isolation import blaming, isolated

ORIGIN = PluginOrigin("z80", "acme", "tests")
OWN = PluginOrigin("z80", "hvolab", "tests")


class PanicException(BaseException):
    """As the exception of Rust code that panics: it is outside of Exception."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        SystemExit(3),
        PanicException("a panic"),
        pytest.skip.Exception("not here"),
        pytest.exit.Exception("enough"),
        GeneratorExit(),
        StopIteration(),
        asyncio.CancelledError(),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("origin", [ORIGIN, OWN], ids=["a stranger's", "hvolab's own"])
def test_an_exception_of_any_kind_is_the_plugins_error(error: BaseException, origin: PluginOrigin) -> None:
    with pytest.raises(PluginError, match=f"it fails: {type(error).__name__}") as caught, blaming(origin, "it fails"):
        raise error
    assert caught.value.where.partition(":")[0] == __file__


@pytest.mark.parametrize("origin", [ORIGIN, OWN])
def test_an_interrupt_is_the_users(origin: PluginOrigin) -> None:
    with pytest.raises(KeyboardInterrupt), blaming(origin, "it is interrupted"):
        raise KeyboardInterrupt


def test_output_by_every_way_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with isolated():
        print("print")
        sys.__stdout__.write("original stream\n")  # type: ignore[union-attr]
        sys.stdout.buffer.write(b"bytes \xff\n")
        os.write(1, b"descriptor\n")
        subprocess.run(["echo", "program"], check=True)
        ctypes.CDLL(None).puts(b"C library")
        print("error", file=sys.stderr)
    print("after")
    out, err = capfd.readouterr()
    assert out == "before\nafter\n"
    lines = ["print", "original stream", "bytes \\xff", "descriptor", "program", "C library", "error"]
    assert sorted(err.splitlines()) == sorted(lines)


@pytest.mark.parametrize(
    "code",
    [
        "sys.stdout = sys.stderr = io.StringIO()",
        "sys.stdout = sys.__stdout__ = None",
        "del sys.stdout, sys.stdin",
        "sys.stdout.close(); sys.stderr.close(); sys.__stdout__.close(); sys.stdin.close()",
        "os.close(0); os.close(1); os.close(2)",
        "open(1, 'w').close(); open(2, 'w').close()",
        "os.dup2(os.open('/dev/null', os.O_RDWR), 1); os.dup2(1, 2)",
        "sys.stdout.detach(); sys.stderr.reconfigure(encoding='ascii')",
    ],
)
def test_streams_that_are_replaced_or_closed_are_back(capfd: pytest.CaptureFixture[str], code: str) -> None:
    before = (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
    with isolated():
        exec(f"import io, os, sys\n{code}", {})
    assert (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__) == before
    print("out")
    print("err", file=sys.stderr)
    os.write(1, b"descriptor\n")
    assert capfd.readouterr() == ("out\ndescriptor\n", "err\n")


def test_standard_input_is_left_to_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("for the command\n"))
    with pytest.raises(PluginError, match="EOFError"), blaming(ORIGIN, "it reads"):
        input()
    assert sys.stdin.read() == "for the command\n"


def test_filters_of_warnings_are_those_of_before() -> None:
    with isolated():
        warnings.simplefilter("ignore")
        warnings.showwarning = None  # type: ignore[assignment]
    with pytest.warns(UserWarning, match="still seen"):
        warnings.warn("still seen", stacklevel=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork(), as Linux has it")
def test_a_process_that_is_forked_does_not_run_on(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads
        with isolated():
            child = os.fork()
    os.waitpid(child, 0)
    print("once")
    assert capfd.readouterr().out == "once\n"


def test_output_after_a_failed_block_is_the_hosts_again(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PluginError), blaming(ORIGIN, "it fails"):
        exec("sys.stdout = None; raise PanicException", globals())
    print("out")
    assert capfd.readouterr().out == "out\n"
