# SPDX-License-Identifier: GPL-2.0-only
"""`python -m hvolab` is the command `hvolab`."""

from __future__ import annotations

import subprocess
import sys
import time
import weakref

import pytest

import hvolab
from hvolab.__main__ import repeat_dropped
from tests.core.cli.conftest import own_environment


@pytest.mark.slow
def test_the_module_runs_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hvolab", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=own_environment(),
    )
    assert done.stdout == f"hvolab {hvolab.__version__}\n"


class Thing:
    pass


def test_an_interrupt_that_python_drops_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    def callback(_: object) -> None:
        raise KeyboardInterrupt

    def wait() -> None:
        thing = Thing()
        reference = weakref.ref(thing, callback)
        del thing
        assert reference() is None
        time.sleep(10)

    monkeypatch.setattr(sys, "unraisablehook", repeat_dropped)
    with pytest.raises(KeyboardInterrupt):
        wait()


def test_other_exceptions_that_python_drops_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def callback(_: object) -> None:
        raise OSError("it is gone")

    monkeypatch.setattr(sys, "unraisablehook", repeat_dropped)
    thing = Thing()
    reference = weakref.ref(thing, callback)
    del thing
    assert reference() is None
    assert "it is gone" in capsys.readouterr().err
