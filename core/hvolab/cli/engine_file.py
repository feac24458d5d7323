# SPDX-License-Identifier: GPL-2.0-only
"""Engines in files of the user: `--engine ./my_engine.py:MyHvo`."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hvolab.errors import UsageError, close_names

if TYPE_CHECKING:
    from hvolab.hvo import EngineMaker

#: Seconds that such an engine may run without a change of the machine.
PATIENCE: Final = 4.0
_SUFFIX: Final = ".py"
#: Methods that every engine has: those of hvolab.hvo.HvoEngine.
_METHODS: Final = ("optimize_folio", "optimize_folios", "restore_folio", "restore_folios", "sizes", "folio_optimized")
_HINT: Final = "write --engine FILE.py:NAME; NAME is a class, such as a subclass of hvolab.hvo.Hvo"


def is_engine_file(name: str) -> bool:
    """Return whether a value of --engine names a file, and not a kind of engine."""
    return name.endswith(_SUFFIX) or f"{_SUFFIX}:" in name


def engine_in_file(name: str) -> EngineMaker:
    """Return the maker of the engine at `FILE.py:NAME`: a class, or function, that takes the machine.

    Raises UsageError if the file or the name does not exist, the file raises an exception, or a class lacks a method.
    """
    file, _, attribute = name.rpartition(":") if not name.endswith(_SUFFIX) else (name, "", "")
    path = Path(file).expanduser()
    if not path.is_file():
        raise UsageError(f"no file {file!r}", where=f"--engine {name}", hint=_HINT)
    found = _run(path, name)
    own = [key for key, value in found.items() if callable(value) and not key.startswith("_")]
    make: Any = found.get(attribute)
    if not callable(make):
        what = f"{file} has no {attribute!r}" if attribute else f"--engine {name} names no class"
        close = close_names(attribute, own, 3) or [key for key in own if hasattr(found[key], _METHODS[0])]
        raise UsageError(what, where=f"--engine {name}", hint=f"choose one of {', '.join(close)}" if close else _HINT)
    missing = [method for method in _METHODS if isinstance(make, type) and not hasattr(make, method)]
    if missing:
        what = f"{attribute} is not an engine: it lacks {', '.join(missing)}"
        raise UsageError(what, where=file, rule="hvolab.hvo.HvoEngine", hint="derive it from hvolab.hvo.Hvo")
    return _maker(make)


def _maker(make: Callable[..., Any]) -> EngineMaker:
    return lambda machine, _: make(machine)


def _run(path: Path, name: str) -> dict[str, Any]:
    """Execute a file as a module; return its names."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file", where=f"--engine {name}", hint=_HINT)
    module = importlib.util.module_from_spec(spec)
    sys.path.append(str(path.parent.resolve()))  # modules next to it
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        what = f"{path} raises {type(error).__name__}: {error}"
        raise UsageError(what, where=f"line {line}", hint=f"`python {path}` shows the traceback") from error
    return vars(module)
