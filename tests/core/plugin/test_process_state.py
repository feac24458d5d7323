# SPDX-License-Identifier: GPL-2.0-only
"""State of the process: whatever code changes, the state is the same again afterwards."""

from __future__ import annotations

import builtins
import gc
import json
import locale
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hvolab.plugin.process_state import save_process_state

#: What a plugin does, and the state that it changes by that.
CHANGES: dict[str, tuple[str, Callable[[], Any]]] = {
    "folder": ("os.chdir('/')", os.getcwd),
    "handler of Ctrl-C": ("signal.signal(signal.SIGINT, signal.SIG_IGN)", lambda: signal.getsignal(signal.SIGINT)),
    "handler of SIGPIPE": ("signal.signal(signal.SIGPIPE, print)", lambda: signal.getsignal(signal.SIGPIPE)),
    "blocked signals": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ),
    "alarm": ("signal.setitimer(signal.ITIMER_REAL, 1000)", lambda: signal.getitimer(signal.ITIMER_REAL)),
    "mask of modes": ("os.umask(0o077)", lambda: (mask := os.umask(0o022), os.umask(mask))[0]),
    "environment": ("os.environ.clear(); os.environ['COLUMNS'] = '7'", lambda: dict(os.environ)),
    "arguments": ("sys.argv.clear()", lambda: list(sys.argv)),
    "recursion limit": ("sys.setrecursionlimit(5000)", sys.getrecursionlimit),
    "digits of integers": ("sys.set_int_max_str_digits(0)", sys.get_int_max_str_digits),
    "switch interval": ("sys.setswitchinterval(1)", sys.getswitchinterval),
    "flags of libraries": ("sys.setdlopenflags(257)", sys.getdlopenflags),
    "errors of numpy": ("import numpy; numpy.seterr(all='raise')", np.geterr),
    "collector": ("gc.disable(); gc.set_threshold(7)", lambda: (gc.isenabled(), gc.get_threshold())),
    "locale": ("locale.setlocale(locale.LC_ALL, 'C')", lambda: locale.setlocale(locale.LC_ALL)),
    "profile": ("sys.setprofile(lambda *arguments: None)", sys.getprofile),
    "built-in function": ("del builtins.print", lambda: builtins.__dict__.get("print")),
    "exit": ("sys.exit = os._exit = print", lambda: (sys.exit, os._exit)),
    "hook of exceptions": ("sys.excepthook = None", lambda: sys.excepthook),
    "modules": (
        "sys.modules['json'] = None; del sys.modules['ast']",
        lambda: [sys.modules.get(n) for n in ("json", "ast")],
    ),
    "logging": (
        "logging.root.setLevel(1); logging.root.handlers.append(1); logging.disable(40)",
        lambda: (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
    ),
    "open files": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_undone(change: str) -> None:
    code, read = CHANGES[change]
    before = read()
    restore = save_process_state()
    try:
        exec(f"import builtins, gc, locale, logging, os, resource, signal, sys\n{code}", {})
        changed = read()
    finally:
        restore()
    assert read() == before
    assert changed != before or change == "locale"  # a C locale is there already


def test_defaults_are_restored_where_a_plugin_is_the_first_to_import_a_module() -> None:
    code = """
import sys
from hvolab.plugin.process_state import save_process_state
assert not {"numpy", "logging"} & set(sys.modules)
restore = save_process_state()
import logging, numpy
defaults = numpy.geterr()
numpy.seterr(all="raise")
logging.basicConfig(level=1)
restore()
assert numpy.geterr() == defaults
assert (logging.root.level, logging.root.handlers) == (logging.WARNING, [])
"""
    paths = os.pathsep.join(path for path in sys.path if path)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})


def test_additions_to_the_paths_of_imports_stay_but_come_last() -> None:
    before = list(sys.path)
    restore = save_process_state()
    sys.path[:] = ["/first", *before[1:]]
    restore()
    try:
        assert sys.path == [*before, "/first"]
    finally:
        sys.path[:] = before


def test_a_module_that_is_imported_stays_and_one_whose_import_is_barred_can_be_imported() -> None:
    restore = save_process_state()
    sys.modules["new_module_of_a_plugin"] = json
    sys.modules["barred_by_a_plugin"] = None  # type: ignore[assignment]
    restore()
    assert sys.modules.pop("new_module_of_a_plugin") is json
    assert "barred_by_a_plugin" not in sys.modules


def test_a_folder_that_is_gone_leaves_the_rest_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    restore = save_process_state()
    before = sys.getrecursionlimit()
    os.chdir("/")
    gone.rmdir()
    sys.setrecursionlimit(5000)
    restore()
    assert (str(Path.cwd()), sys.getrecursionlimit()) == ("/", before)


def test_another_thread_restores_what_it_may() -> None:
    limits: list[int] = []

    def work() -> None:
        restore = save_process_state()
        sys.setrecursionlimit(5000)
        restore()
        limits.append(sys.getrecursionlimit())

    before = sys.getrecursionlimit()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert limits == [before]
