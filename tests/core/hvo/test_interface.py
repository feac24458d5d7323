# SPDX-License-Identifier: GPL-2.0-only
"""The engine has every method of the interface, with the same parameters."""

from __future__ import annotations

import inspect

from hvolab.hvo import Hvo, HvoEngine, VmemmapOptimizer
from hvolab.scenario.views import Observer
from tests.machines import pools


def methods(protocol: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if not name.startswith("_")]


def test_the_model_is_an_engine() -> None:
    assert {"optimize_folio", "optimize_folios", "restore_folio", "restore_folios"} == set(methods(VmemmapOptimizer))
    for name in methods(HvoEngine):
        wanted, found = (inspect.signature(getattr(owner, name)).parameters for owner in (HvoEngine, Hvo))
        assert list(wanted) == list(found), name


def test_an_observer_is_called_as_an_engine_is() -> None:
    observer = Observer(pools().hvo)
    for name in methods(VmemmapOptimizer):
        wanted = list(inspect.signature(getattr(VmemmapOptimizer, name)).parameters)[1:]
        assert list(inspect.signature(getattr(observer, name)).parameters) == wanted, name
