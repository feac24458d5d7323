# SPDX-License-Identifier: GPL-2.0-only
"""Reading of imports, floors and mirrored tests, on sources and graphs made up for it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests import rooms
from tests.rooms import Module

KNOWN = ("house", "house.cellar", "house.attic", "house.attic.box")


def module(name: str, *imports: str, path: str = "") -> Module:
    """A module made up of its name and its imports."""
    return Module(name, Path(path or f"plugins/{name.replace('.', '/')}.py"), "", frozenset(imports))


def graph(**imports: str) -> rooms.Graph:
    """A graph with one-letter members: `a="bc"` is `a` that imports `b` and `c`."""
    return {member: frozenset(others) for member, others in imports.items()}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os", set()),
        ("import house.cellar", {"house.cellar"}),
        ("from house import cellar", {"house.cellar"}),
        ("from house import door", {"house"}),
        ("from house.attic import box, lid", {"house.attic.box", "house.attic"}),
        ("def late():\n    from house.attic import box", {"house.attic.box"}),
        ("if TYPE_CHECKING:\n    from house.attic.box import Lid", {"house.attic.box"}),
    ],
)
def test_imports_count_wherever_they_stand(source: str, expected: set[str]) -> None:
    assert set(rooms.imported(source, KNOWN)) == expected


def test_a_folder_is_one_member_of_the_folder_around_it() -> None:
    among = [
        module("house", path="plugins/house/__init__.py"),
        module("house.door", "house.attic.box", "shed.tool"),
        module("house.attic.box", "house.attic.lid", "house.cellar"),
        module("house.attic.lid"),
        module("house.cellar"),
        module("shed.tool"),
    ]
    assert rooms.graph_of("house", among) == {
        "house": frozenset(),
        "house.door": {"house.attic"},
        "house.attic": {"house.cellar"},
        "house.cellar": frozenset(),
    }
    assert rooms.graph_of("house.attic", among) == {
        "house.attic.box": {"house.attic.lid"},
        "house.attic.lid": frozenset(),
    }


def test_a_circle_is_reported_in_the_direction_of_its_imports() -> None:
    found = rooms.circle(graph(a="b", b="c", c="ad", d=""))
    assert len(found) == 4
    assert found[0] == found[-1]
    assert all(other in {"ab", "bc", "ca"} for other in map("".join, pairwise(found)))
    assert rooms.circle(graph(a="bc", b="c", c="")) == []


def test_the_longest_chain_begins_with_the_module_that_imports() -> None:
    assert rooms.longest_chain(graph(a="bd", b="c", c="d", d="", e="d")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("core/hvolab/units.py", "tests/core/test_units.py"),
        ("core/hvolab/__main__.py", "tests/core/test_main.py"),
        ("core/hvolab/machine/frames/zones.py", "tests/core/machine/frames/test_zones.py"),
        ("arches/hvolab_arm64/entries.py", "tests/arches/hvolab_arm64/test_entries.py"),
        ("plugins/hvolab_vmcore/scan/owners.py", "tests/plugins/hvolab_vmcore/scan/test_owners.py"),
        ("plugins/hvolab_vmcore/scan/__init__.py", None),
        ("core/hvolab/conformance/test_conformance.py", None),
    ],
)
def test_a_test_belongs_where_its_module_is(path: str, test: str | None) -> None:
    found = rooms.mirror_of(module("any", path=path))
    assert (found.as_posix() if found else None) == test


def test_the_length_of_a_function_does_not_count_its_decorators_and_its_text() -> None:
    text = '    """Do.\n\n    More of it.\n    """\n'
    source = f"@decorated\n@again\ndef first():\n{text}    return 1\n\n\nasync def second(): ...\n"
    assert list(Module("any", Path("any.py"), source, frozenset()).functions()) == [("first", 3, 3), ("second", 11, 1)]


@pytest.mark.slow
def test_the_product_is_read() -> None:
    names = {module.name: module for module in rooms.modules()}
    assert {"hvolab", "hvolab.errors", "hvolab_unicorn"} <= set(names)
    assert "hvolab.errors" in names["hvolab.machine.memory.physical"].imports
    assert {"hvolab.machine", "hvolab.machine.frames", "hvolab_unicorn"} <= set(rooms.folders())
