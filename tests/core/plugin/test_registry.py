# SPDX-License-Identifier: GPL-2.0-only
"""The registry finds architectures by any of their names, and one broken plugin spoils nothing but itself."""

from __future__ import annotations

import types

import pytest

from hvolab.errors import PluginError, UsageError
from hvolab.plugin import PluginProblem, PluginRegistry, hookimpl, registry
from hvolab_x86_64 import description
from tests.core.plugin.site import Site, copy_named


class Plugin:
    """A plugin that is an object: it describes what it is given."""

    def __init__(self, result: object) -> None:
        self.result = result

    @hookimpl
    def hvolab_architectures(self) -> object:
        return self.result


def test_architectures_come_in_the_order_of_their_names(site: Site) -> None:
    site.install("first", copy_named("z80"))
    site.install("second", copy_named("alpha"))
    loaded = site.load()
    assert list(loaded.architectures()) == ["alpha", "z80"]
    assert loaded.problems == ()


def test_an_architecture_is_found_by_its_name_and_by_each_alias(site: Site) -> None:
    site.install("z80", copy_named("z80", "zilog", "z-80"))
    loaded = site.load()
    z80 = loaded.architectures()["z80"]
    assert [loaded.architecture(name) for name in ("z80", "zilog", "z-80")] == [z80, z80, z80]


@pytest.mark.parametrize("wrong", ["zilok", "ZILOG"])
def test_an_unknown_name_is_answered_with_near_ones_and_with_all_that_there_are(site: Site, wrong: str) -> None:
    site.install("z80", copy_named("z80", "zilog"))
    site.install("alpha", copy_named("alpha"))
    site.install("broken", "1 / 0")
    with pytest.raises(UsageError) as caught:
        site.load().architecture(wrong)
    assert caught.value.what == f"no architecture is called {wrong!r}"
    assert caught.value.hint == "did you mean 'zilog'?; choose one of alpha, z80 (zilog); left out: broken"


def test_without_any_plugin_the_answer_is_that_there_is_none() -> None:
    with pytest.raises(UsageError, match="choose one of none"):
        PluginRegistry(strict=False).architecture("z80")


def test_what_is_handed_out_cannot_be_changed(site: Site) -> None:
    site.install("z80", copy_named("z80"))
    architectures = site.load().architectures()
    with pytest.raises(TypeError):
        architectures["z80"] = architectures["z80"]  # type: ignore[index]


def test_a_plugin_of_a_notebook_is_registered_by_hand() -> None:
    by_hand = PluginRegistry(strict=False)
    by_hand.register(Plugin([description.X86_64]), "mine")
    assert by_hand.architecture("amd64") is description.X86_64
    assert [(plugin.name, plugin.distribution) for plugin in by_hand.plugins] == [("mine", "")]


def test_a_broken_plugin_of_a_notebook_is_named_as_registered_by_hand() -> None:
    by_hand = PluginRegistry(strict=False)
    by_hand.register(types.ModuleType("empty"), "mine")
    [problem] = by_hand.problems
    assert str(problem).startswith("plugin 'mine' (registered by hand) is left out: module 'empty' implements no hook")


def test_a_plugin_of_another_distribution_cannot_take_a_plugins_name(site: Site) -> None:
    site.install("z80", copy_named("one"), distribution="acme")
    site.install("z80", copy_named("two"), distribution="beta")
    loaded = site.load()
    assert list(loaded.architectures()) == ["one"]
    assert loaded.problems == (
        PluginProblem(
            "z80", "beta", "its name is that of plugin 'z80' (distribution 'acme'), which was loaded earlier"
        ),
    )


def test_one_module_is_one_plugin(site: Site) -> None:
    site.write_metadata("acme", "[hvolab]\na = twofold\nb = twofold\n")
    site.write_module("twofold", copy_named("z80"))
    [problem] = site.load().problems
    assert (problem.plugin, problem.reason) == ("b", "it is the same object as plugin 'a' (distribution 'acme')")


@pytest.mark.parametrize(
    ("name", "aliases"), [("z80", ()), ("other", ("z80",)), ("zilog", ()), ("other", ("fine", "zilog"))]
)
def test_who_declares_a_name_or_alias_second_is_left_out(site: Site, name: str, aliases: tuple[str, ...]) -> None:
    site.install("a-first", copy_named("z80", "zilog"))
    site.install("b-second", copy_named(name, *aliases))
    loaded = site.load()
    assert list(loaded.architectures()) == ["z80"]
    [problem] = loaded.problems
    taken = "z80" if "z80" in {name, *aliases} else "zilog"
    assert problem == PluginProblem(
        "b-second",
        "b-second",
        f"it declares {taken!r}, which plugin 'a-first' (distribution 'a-first') has declared",
    )


def test_what_hvolab_ships_loses_its_name_to_no_stranger(site: Site) -> None:
    site.install("aaa", copy_named("z80"), distribution="aaa")
    site.install("zzz", copy_named("z80"), distribution="hvolab")
    loaded = site.load()
    assert [plugin.distribution for plugin in loaded.plugins] == ["hvolab"]
    assert [problem.plugin for problem in loaded.problems] == ["aaa"]


def test_the_name_of_a_plugin_that_was_left_out_is_free(site: Site) -> None:
    site.install("z80", "raise RuntimeError('no')", distribution="acme")
    site.install("z80", copy_named("z80"), distribution="beta")
    loaded = site.load()
    assert [plugin.distribution for plugin in loaded.plugins] == ["beta"]
    assert [problem.distribution for problem in loaded.problems] == ["acme"]


def test_strict_mode_raises_one_error_with_every_problem(site: Site) -> None:
    site.install("divides", "1 / 0")
    site.install("exits", "raise SystemExit('bye')")
    site.install("z80", copy_named("z80"))
    with pytest.raises(PluginError) as caught:
        site.load(strict=True)
    text = str(caught.value)
    assert "2 plugins do not work" in text
    assert "plugin 'divides' (distribution 'divides') is left out: it cannot be imported: ZeroDivisionError" in text
    assert "plugin 'exits' (distribution 'exits') is left out: it cannot be imported: SystemExit: bye" in text


def test_strict_mode_has_nothing_against_plugins_that_work(site: Site) -> None:
    site.install("z80", copy_named("z80"))
    assert list(site.load(strict=True).architectures()) == ["z80"]


def test_strict_mode_holds_for_plugins_registered_by_hand() -> None:
    with pytest.raises(PluginError, match="a plugin does not work"):
        PluginRegistry(strict=True).register(Plugin(None), "mine")


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_the_environment_switches_strict_mode_on(site: Site, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    site.install("divides", "1 / 0")
    monkeypatch.setenv("HVOLAB_STRICT", value)
    with pytest.raises(PluginError, match="divides"):
        PluginRegistry.load(entry_points=site.entry_points())


@pytest.mark.parametrize("value", ["", "0", "no"])
def test_the_environment_leaves_strict_mode_off(site: Site, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    site.install("divides", "1 / 0")
    monkeypatch.setenv("HVOLAB_STRICT", value)
    loaded = PluginRegistry.load(entry_points=site.entry_points())
    assert [problem.plugin for problem in loaded.problems] == ["divides"]


def test_an_argument_overrules_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("divides", "1 / 0")
    monkeypatch.setenv("HVOLAB_STRICT", "1")
    assert len(site.load(strict=False).problems) == 1


def test_a_plugin_that_is_disabled_is_not_imported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("divides", "1 / 0")
    site.install("z80", copy_named("z80"))
    monkeypatch.setenv("HVOLAB_DISABLE", " divides,, nonesuch")
    loaded = site.load(strict=True)
    assert [(status.origin.name, status.disabled) for status in loaded.statuses] == [("divides", True), ("z80", False)]
    assert loaded.unknown_disabled == ("nonesuch",)
    with pytest.raises(UsageError, match="left out: divides"):
        loaded.architecture("divides")


def test_the_status_of_a_plugin_has_its_version_hooks_and_time(site: Site) -> None:
    site.install("divides", "1 / 0")
    site.install("z80", copy_named("z80"))
    broken, working = site.load().statuses
    assert (broken.origin.version, broken.hooks) == ("1.0", ())
    assert "ZeroDivisionError" in broken.problem
    assert (working.origin.version, working.hooks, working.problem) == ("1.0", ("hvolab_architectures",), "")
    assert min(broken.seconds, working.seconds) > 0


def test_the_users_interrupt_is_not_blamed_on_a_plugin(site: Site) -> None:
    site.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.load()


def test_the_installed_plugins_are_loaded_once(site: Site) -> None:
    registry.cache_clear()
    site.install("z80", copy_named("z80"))
    try:
        assert "z80" in registry().architectures()
        assert registry() is registry()
    finally:
        registry.cache_clear()


class Cpus:
    """A plugin that announces kinds of CPU."""

    def __init__(self, result: object) -> None:
        self.result = result

    @hookimpl
    def hvolab_cpus(self) -> object:
        return self.result


def make(machine: object, index: int) -> object:
    return (machine, index)


def test_kinds_of_cpu_are_found_by_name_beside_the_modeled_one() -> None:
    loaded = PluginRegistry(strict=False)
    assert dict(loaded.cpus()) == {"model": None}
    loaded.register(Cpus({"wooden": make}), "carpenter")
    assert loaded.cpu("wooden") is make
    assert loaded.cpu("model") is None
    with pytest.raises(UsageError, match="no kind of CPU is called 'iron'; hint: choose one of model, wooden"):
        loaded.cpu("iron")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "hvolab_cpus() returns None, not a mapping of names to functions"),
        ([make], "hvolab_cpus() returns an object of type 'list', not a mapping of names to functions"),
        ({"": make}, "not a name and a function"),
        ({"wooden": 3}, "hvolab_cpus() returns 'wooden': 3, not a name and a function"),
        ({"model": make}, "it declares kinds of CPU that exist already: 'model'"),
    ],
)
def test_what_is_no_kind_of_cpu_leaves_its_plugin_out(result: object, reason: str) -> None:
    loaded = PluginRegistry(strict=False)
    loaded.register(Cpus(result), "carpenter")
    [problem] = loaded.problems
    assert reason in problem.reason
    assert dict(loaded.cpus()) == {"model": None}


class Stubs:
    """A plugin that performs a function of kernels."""

    @hookimpl
    def hvolab_stubs(self) -> object:
        return {"shrink_slab": lambda *_: 0}


def test_functions_that_a_plugin_performs_are_found_by_name_and_belong_to_one_plugin() -> None:
    plugins = PluginRegistry()
    assert plugins.stubs() == {}
    plugins.register(Stubs(), "mine")
    assert list(plugins.stubs()) == ["shrink_slab"]
    plugins.register(Stubs(), "theirs")
    assert "kinds of stub that exist already: 'shrink_slab'" in str(plugins.problems[0])
