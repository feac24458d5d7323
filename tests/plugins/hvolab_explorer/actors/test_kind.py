# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of actors and their places."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable

import pytest

from hvolab.errors import MachineError, PluginError
from hvolab_explorer.actors.kind import ActorKind, Place, for_each_folio, of_plugin
from hvolab_explorer.exploration import explore
from hvolab_explorer.runs.configuration import KINDS, ActorSpec, Configuration
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.world import World
from tests.machines import x86_64
from tests.plugins.hvolab_explorer.worlds import program

#: Actors of hardware, which have no kernel function.
_HARDWARE = {"load-early", "walk-ahead"}


def test_a_place_is_a_struct_page_of_a_folio() -> None:
    world = program("optimize B").world
    place = Place(1, 64)
    assert (str(place), str(place.head)) == ("B.64", "B")
    assert place.va(world) == world.folios[1] + 64 * 64


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_each_actor_names_its_kernel_functions_their_release_and_what_is_left_out(kind: ActorKind) -> None:
    make = inspect.unwrap(kind.make)
    body = make if make.__module__ != for_each_folio.__module__ else inspect.getclosurevars(make).nonlocals["operation"]
    text = inspect.getdoc(sys.modules[body.__module__]) or ""
    assert "Left out:" in text
    if kind.name not in _HARDWARE:
        assert re.search(r"Kernel: .*\(\).* (?:since )?v[5-7]\.\d", text, re.DOTALL)


@pytest.mark.parametrize("raises", ["maker", "program"])
def test_an_exception_of_a_plugin_s_actor_is_its_fault_and_no_finding(raises: str) -> None:
    def make(world: World, *_: object) -> Callable[[], object]:
        return {"program": lambda: [][world.h.order]}[raises]

    kind = ActorKind("faulty", "", "raises", of_plugin("faulty", make))
    with pytest.raises(PluginError, match=r"the actor faulty raises (KeyError|IndexError): ") as error:
        explore(Configuration("", "", (ActorSpec(kind, ()),)).program(x86_64()), Dpor())
    assert __file__ in error.value.where


def test_an_error_that_hvolab_raises_in_a_plugin_s_actor_is_a_finding() -> None:
    def make(*_: object) -> Callable[[], object]:
        def body() -> None:
            raise MachineError("no frames left")

        return body

    kind = ActorKind("faulty", "", "raises", of_plugin("faulty", make))
    result = explore(Configuration("", "", (ActorSpec(kind, ()),)).program(x86_64()), Dpor())
    assert any("no frames left" in text for text in result.findings)
