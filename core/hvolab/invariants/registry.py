"""The invariants, found in the modules of :mod:`hvolab.invariants.rules`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from hvolab.invariants import rules
from hvolab.invariants.invariant import Invariant


def _invariants() -> tuple[Invariant, ...]:
    """Import every module of the package, and return the invariants in it by number."""
    modules = [import_module(f"{rules.__name__}.{found.name}") for found in iter_modules(rules.__path__)]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, Invariant)}
    return tuple(sorted(found, key=lambda invariant: invariant.number))


#: Every invariant, by number.
INVARIANTS = _invariants()
