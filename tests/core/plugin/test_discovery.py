# SPDX-License-Identifier: GPL-2.0-only
"""Plugins are found by entry points alone, in an order that everybody can foretell."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hvolab.plugin import PluginOrigin, PluginRegistry
from hvolab.plugin.discovery import in_loading_order, installed_entry_points
from tests.core.plugin.site import Site, copy_named

ROOT = Path(__file__).parents[3]


def test_an_installed_strangers_plugin_is_found(site: Site) -> None:
    site.install("z80", copy_named("z80"))
    registry = PluginRegistry.load(strict=False)
    assert registry.architectures()["z80"].name == "z80"
    assert ("z80", "z80") in {(plugin.name, plugin.distribution) for plugin in registry.plugins}


def test_each_architecture_in_the_tree_is_found_by_the_entry_point_that_the_project_announces(site: Site) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["hvolab"].items()]
    site.write_metadata("hvolab", "\n".join(["[hvolab]", *lines]))
    packages = {path.parent.name for path in (ROOT / "arches").glob("*/__init__.py")}
    working = {plugin.package for plugin in site.load().plugins}
    assert packages
    assert packages <= working


def test_hvolabs_own_plugins_come_first_and_all_others_by_name(site: Site) -> None:
    site.install("m", copy_named("m"), distribution="zeta")
    site.install("b", copy_named("b"), distribution="omega")
    site.install("z", copy_named("z"), distribution="hvolab")
    site.install("a", copy_named("a"), distribution="beta")
    assert [plugin.name for plugin in site.load().plugins] == ["z", "a", "b", "m"]


def test_who_is_behind_an_entry_point_is_told_without_importing_it(site: Site) -> None:
    site.write_metadata("stranger", "[hvolab]\nz80 = no_such_package.inside:attribute\n")
    [(origin, _)] = in_loading_order(site.entry_points())
    assert origin == PluginOrigin("z80", "stranger", "no_such_package", "1.0")


def test_unreadable_entry_points_are_reported_and_the_others_found(site: Site) -> None:
    site.write_metadata("garbled", "[hvolab]\nthis is no entry point\n")
    site.install("z80", copy_named("z80"))
    registry = PluginRegistry.load(strict=False)
    assert "z80" in registry.architectures()
    [problem] = [problem for problem in registry.problems if problem.distribution == "garbled"]
    assert problem.reason.startswith("its entry points cannot be read: ")
    assert str(site.folder) in problem.reason


def test_garbled_entry_points_of_a_distribution_without_plugins_are_none_of_our_business(site: Site) -> None:
    site.write_metadata("garbled", "[console_scripts]\nthis is no entry point\n")
    _, unreadable = installed_entry_points()
    assert "garbled" not in {status.origin.distribution for status in unreadable}


def test_a_distribution_without_a_name_is_reported(site: Site) -> None:
    site.install("z80", copy_named("z80"))
    (site.folder / "z80-1.0.dist-info" / "METADATA").write_text("Version: 1.0\n", encoding="utf-8")
    found, unreadable = installed_entry_points()
    assert "z80" not in {entry_point.name for entry_point in found}
    assert [status.origin.name for status in unreadable if str(site.folder) in status.problem] == ["(unnamed)"]


@pytest.mark.parametrize(("garbled", "name"), [((), "z80"), (("METADATA",), "(unnamed)")])
def test_files_that_are_no_text_are_reported_and_stop_nothing(site: Site, garbled: tuple[str, ...], name: str) -> None:
    site.install("z80", copy_named("z80"))
    site.install("neighbor", copy_named("alpha"))
    for file in ("entry_points.txt", *garbled):
        (site.folder / "z80-1.0.dist-info" / file).write_bytes(b"\xff\xfe")
    found, unreadable = installed_entry_points()
    assert "neighbor" in {entry_point.name for entry_point in found}
    [status] = [status for status in unreadable if str(site.folder) in status.problem]
    assert status.origin.name == name
    assert "UnicodeDecodeError" in status.problem


def test_of_a_distribution_that_is_installed_twice_the_first_on_the_path_counts(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("z80", copy_named("old"), distribution="my-plugin")
    shadowing = Site(tmp_path / "first")
    shadowing.write_metadata("My_Plugin", "[hvolab]\nz80 = my_plugin_newer\n")
    shadowing.write_module("my_plugin_newer", copy_named("new"))
    monkeypatch.syspath_prepend(shadowing.folder)
    registry = PluginRegistry.load(strict=False)
    assert "new" in registry.architectures()
    assert "old" not in registry.architectures()
    assert "z80" not in {problem.plugin for problem in registry.problems}
