# SPDX-License-Identifier: GPL-2.0-only
"""However a plugin is broken, it is named with the reason and the place, and its neighbor works."""

from __future__ import annotations

import pytest

from hvolab.plugin import PluginProblem
from tests.core.plugin.site import Site, copy_named

#: What opens the module of every plugin below that gets as far as having a hook; the hook is on line 6.
HEAD = """\
from dataclasses import replace
from hvolab.plugin import hookimpl
from hvolab_x86_64.description import X86_64

@hookimpl
"""


def problem_of(site: Site, source: str, *, attribute: str = "") -> tuple[PluginProblem, str]:
    """Install this plugin beside a good one; what is said about it, and its file."""
    path = site.install("broken", source, attribute=attribute)
    site.install("neighbor", copy_named("z80"))
    loaded = site.load()
    assert list(loaded.architectures()) == ["z80"]
    [problem] = loaded.problems
    assert (problem.plugin, problem.distribution) == ("broken", "broken")
    return problem, str(path)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("\nimport no_such_module", "ModuleNotFoundError: No module named 'no_such_module'; where: {file}:2"),
        ("raise RuntimeError('one\\n  two')", "RuntimeError: one two; where: {file}:1"),
        ("import sys\nsys.exit(3)", "SystemExit: 3; where: {file}:2"),
        ("raise AssertionError", "AssertionError; where: {file}:1"),
        ("import json\n\njson.loads('{{')", "JSONDecodeError: Expecting property name enclosed in double quotes"),
        ("import json\n\njson.loads('{{')", "; where: {file}:3"),
        ("x = 1\ndef (", "; where: {file}:2"),
    ],
)
def test_a_plugin_that_cannot_be_imported(site: Site, source: str, reason: str) -> None:
    problem, file = problem_of(site, source.format())
    assert problem.reason.startswith("it cannot be imported: ")
    assert reason.format(file=file) in problem.reason


def test_a_message_that_cannot_be_shown(site: Site) -> None:
    source = """
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no words")

        raise Mute
    """
    problem, file = problem_of(site, source)
    assert problem.reason == f"it cannot be imported: Mute: <exception str() failed>; where: {file}:6"


def test_an_entry_point_that_names_nothing(site: Site) -> None:
    problem, _ = problem_of(site, copy_named("fine"), attribute="absent")
    assert problem.reason.startswith("it cannot be imported: AttributeError: ")


def test_the_place_is_never_the_registrys_own_even_for_a_plugin_that_is_a_part_of_core(site: Site) -> None:
    site.write_metadata("broken", "[hvolab]\nbroken = hvolab.no_such_module\n")
    [problem] = site.load().problems
    assert problem.reason == "it cannot be imported: ModuleNotFoundError: No module named 'hvolab.no_such_module'"


def test_an_entry_point_that_is_no_reference_at_all(site: Site) -> None:
    site.write_metadata("broken", "[hvolab]\nbroken = what is this?\n")
    [problem] = site.load().problems
    assert problem.reason.startswith("it cannot be imported: ")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "@hookimpl\ndef hvolab_architecture():\n    return ()",
            "'hvolab_architecture' ({file}:4) is an unknown hook: did you mean 'hvolab_architectures'?",
        ),
        (
            "def hvolab_comands(app):\n    pass",
            "'hvolab_comands' ({file}:4) is an unknown hook: did you mean 'hvolab_commands'?",
        ),
        (
            "@hookimpl\ndef hovlab_architectures():\n    return ()",
            "'hovlab_architectures' ({file}:4) is an unknown hook: did you mean 'hvolab_architectures'?",
        ),
        (
            "@hookimpl(specname='nothing_like_it')\ndef mine():\n    return ()",
            (
                "'nothing_like_it' ({file}:4) is an unknown hook: "
                "there are hvolab_actors, hvolab_architectures, hvolab_commands, hvolab_cpus, hvolab_dump_formats, "
                "hvolab_engines, hvolab_reports, hvolab_stubs"
            ),
        ),
        (
            "def hvolab_architectures():\n    return ()",
            "'hvolab_architectures' ({file}:4) is not a function decorated with @hookimpl",
        ),
        ("hvolab_architectures = ()", "'hvolab_architectures' is not a function decorated with @hookimpl"),
        (
            "@hookimpl\ndef hvolab_architectures():\n    yield ()",
            "'hvolab_architectures' ({file}:4) is a generator or coroutine; a hook is a plain function",
        ),
        (
            "@hookimpl\nasync def hvolab_commands(app):\n    pass",
            "'hvolab_commands' ({file}:4) is a generator or coroutine; a hook is a plain function",
        ),
        (
            "@hookimpl(wrapper=True)\ndef hvolab_architectures():\n    return (yield)",
            "'hvolab_architectures' ({file}:4) is a generator or coroutine; a hook is a plain function",
        ),
    ],
)
def test_a_hook_that_is_misspelt_unmarked_or_never_run(site: Site, body: str, reason: str) -> None:
    problem, file = problem_of(site, f"from hvolab.plugin import hookimpl\n\n\n{body}\n")
    assert problem.reason == reason.format(file=file)


def test_every_misspelt_hook_is_told_at_once(site: Site) -> None:
    problem, _ = problem_of(site, "def hvolab_command(app): ...\ndef hvolab_architects(): ...\n")
    assert "hvolab_commands" in problem.reason
    assert "hvolab_architectures" in problem.reason


def test_a_hook_with_an_argument_that_it_is_not_given(site: Site) -> None:
    problem, _ = problem_of(site, f"{HEAD}def hvolab_architectures(machine):\n    return ()\n")
    assert problem.reason.startswith("it cannot be registered: PluginValidationError: ")
    assert "hvolab_architectures(machine)" in problem.reason
    assert "\n" not in problem.reason


@pytest.mark.parametrize(
    ("source", "attribute", "what"),
    [
        ("", "", "module 'broken_module'"),
        ("nothing = None", "nothing", "None"),
        ("text = 'x'", "text", "an object of type 'str'"),
    ],
)
def test_a_plugin_without_any_hook(site: Site, source: str, attribute: str, what: str) -> None:
    problem, _ = problem_of(site, source, attribute=attribute)
    assert problem.reason.startswith(f"{what} implements no hook; hint: mark hvolab_actors or hvolab_architectures or ")


def test_a_plugin_whose_attributes_cannot_be_read(site: Site) -> None:
    problem, file = problem_of(site, "def __dir__():\n    raise OSError('hidden')\n")
    assert problem.reason == f"its attributes cannot be read: OSError: hidden; where: {file}:2"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('no figures')", "raises: ValueError: no figures; where: {file}:7"),
        ("raise SystemExit", "raises: SystemExit; where: {file}:7"),
        ("return replace(X86_64, nonsense=1)", "raises: TypeError: "),
        ("pass", "returns None, not a sequence of Architecture"),
        ("return X86_64", "returns an object of type 'Architecture', not a sequence of Architecture"),
        ("return {X86_64.name: X86_64}", "returns an object of type 'dict', not a sequence of Architecture"),
        ("return 'x86_64'", "returns an object of type 'str', not a sequence of Architecture"),
        ("return iter((X86_64,))", "returns an object of type 'tuple_iterator', not a sequence of Architecture"),
        (
            "return [replace(X86_64, name='a', aliases=()), 7]",
            "returns an object of type 'int', not an Architecture, at [1]",
        ),
        ("return [type(X86_64)]", "returns an object of type 'type', not an Architecture, at [0]"),
    ],
)
def test_a_hook_that_raises_or_returns_nonsense(site: Site, body: str, reason: str) -> None:
    problem, file = problem_of(site, f"{HEAD}def hvolab_architectures():\n    {body}\n")
    assert problem.reason.startswith(f"hvolab_architectures() {reason.format(file=file)}")


def test_a_sequence_that_cannot_be_read(site: Site) -> None:
    source = f"""{HEAD}def hvolab_architectures():
    return Broken()

from collections.abc import Sequence

class Broken(Sequence):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise KeyError("lost")
"""
    problem, file = problem_of(site, source)
    reason = f"the result of hvolab_architectures() cannot be read: KeyError: 'lost'; where: {file}:16"
    assert problem.reason == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("byte_order='middle'", "DescriptionError: byte order 'middle' is neither little nor big; where: odd"),
        ("modes=()", "DescriptionError: an architecture needs a name and at least one paging mode"),
        ("modes=None", "DescriptionError: an architecture needs a name and at least one paging mode"),
        ("pgprots=7", "TypeError: Value after * must be an iterable, not int"),
    ],
)
def test_a_description_that_does_not_pass_its_own_check_leaves_out_the_whole_plugin(
    site: Site, change: str, reason: str
) -> None:
    good, odd = "replace(X86_64, name='good', aliases=())", f"replace(X86_64, name='odd', aliases=(), {change})"
    problem, _ = problem_of(site, f"{HEAD}def hvolab_architectures():\n    return ({good}, {odd})\n")
    assert problem.reason.startswith(f"architecture 'odd' does not pass its own check: {reason}")


@pytest.mark.parametrize("change", ["name=7", "name=''", "aliases='amd64'", "aliases=(b'amd64',)", "aliases=[]"])
def test_names_that_are_no_names(site: Site, change: str) -> None:
    problem, _ = problem_of(site, f"{HEAD}def hvolab_architectures():\n    return (replace(X86_64, {change}),)\n")
    assert problem.reason.endswith("is not named by strings")


def test_a_plugin_that_declares_a_name_twice(site: Site) -> None:
    pair = "replace(X86_64, name='a', aliases=('b', 'c')), replace(X86_64, name='b', aliases=('d',))"
    problem, _ = problem_of(site, f"{HEAD}def hvolab_architectures():\n    return [{pair}]\n")
    assert problem.reason == "it declares 'b' more than once"


def test_modules_and_classes_may_begin_as_hooks_do(site: Site) -> None:
    site.install("fine", "import hvolab_x86_64\nclass hvolab_helper: ...\n" + HEAD + "def hvolab_commands(app): ...\n")
    assert site.load().problems == ()


def test_a_hook_of_a_later_release_is_allowed_where_it_is_marked_optional(site: Site) -> None:
    source = f"{HEAD}def hvolab_commands(app): ...\n\n@hookimpl(optionalhook=True)\ndef hvolab_novelty(): ...\n"
    site.install("fine", source)
    assert site.load().problems == ()


def test_a_hook_may_have_a_name_of_its_own(site: Site) -> None:
    source = copy_named("z80").replace("@hookimpl", "@hookimpl(specname='hvolab_architectures')")
    site.install("fine", source.replace("def hvolab_architectures", "def mine"))
    assert list(site.load().architectures()) == ["z80"]
