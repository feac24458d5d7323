# SPDX-License-Identifier: GPL-2.0-only
"""A plugin's commands are on the command line, all of them or none."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from hvolab.errors import PluginError
from hvolab.plugin.commands import leave_only
from tests.core.plugin.site import Site, copy_named

HEAD = """\
import typer
from hvolab.plugin import hookimpl

@hookimpl
def hvolab_commands(app):
"""

GREET = """
    @app.command()
    def greet(name: str) -> None:
        typer.echo("hello " + name)
"""


@pytest.fixture
def app() -> typer.Typer:
    """A command line with one command and one group of its own."""
    line = typer.Typer()
    line.command("run")(lambda: typer.echo("running"))
    group = typer.Typer()
    group.command("list")(lambda: typer.echo("listing"))
    line.add_typer(group, name="arches")
    return line


def output_of(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def reason_against(site: Site, app: typer.Typer, body: str) -> str:
    """What is said of a plugin whose hook has this body; its neighbor's works, and nothing of its own stays."""
    site.install("broken", HEAD + body)
    site.install("neighbor", HEAD + GREET)
    loaded = site.load()
    loaded.add_commands(app)
    assert output_of(app, "greet", "you") == "hello you\n"
    assert output_of(app, "run") == "running\n"
    assert output_of(app, "arches", "list") == "listing\n"
    assert [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands] == [
        "run",
        "greet",
    ]
    assert [group.name for group in app.registered_groups] == ["arches"]
    assert app.registered_callback is None
    [problem] = loaded.problems
    assert problem.plugin == "broken"
    return problem.reason


def test_a_command_of_a_plugin_runs(site: Site, app: typer.Typer) -> None:
    site.install("greeter", HEAD + GREET)
    loaded = site.load()
    loaded.add_commands(app)
    assert output_of(app, "greet", "world") == "hello world\n"
    assert loaded.problems == ()


def test_a_group_of_a_plugin_runs(site: Site, app: typer.Typer) -> None:
    site.install("greeter", HEAD + "    sub = typer.Typer()" + GREET.replace("@app", "@sub") + "    app.add_typer(sub)")
    site.install(
        "polite",
        HEAD
        + "    sub = typer.Typer()"
        + GREET.replace("@app", "@sub").replace("greet", "bow")
        + "    app.add_typer(sub, name='politely')",
    )
    loaded = site.load()
    loaded.add_commands(app)
    assert loaded.problems == ()
    assert output_of(app, "greet", "world") == "hello world\n"
    assert output_of(app, "politely", "bow", "world") == "hello world\n"


def test_a_plugin_without_commands_adds_none(site: Site, app: typer.Typer) -> None:
    site.install("z80", copy_named("z80"))
    site.load().add_commands(app)
    assert len(app.registered_commands) == 1


def test_a_hook_that_raises_takes_its_commands_with_it(site: Site, app: typer.Typer) -> None:
    extra = "    app.add_typer(typer.Typer(), name='group')\n    raise LookupError('half way')\n"
    reason = reason_against(site, app, GREET + extra)
    assert reason.startswith("hvolab_commands() raises: LookupError: half way; where: ")
    assert reason.endswith("broken_module.py:11")


def test_a_hook_that_exits_does_not_end_the_command_line(site: Site, app: typer.Typer) -> None:
    assert "SystemExit: 4" in reason_against(site, app, "    raise SystemExit(4)\n")


def test_a_hook_that_returns_something(site: Site, app: typer.Typer) -> None:
    reason = reason_against(site, app, GREET + "    return [greet]\n")
    assert reason == "hvolab_commands() returns an object of type 'list', not None"


def test_a_command_that_typer_cannot_build(site: Site, app: typer.Typer) -> None:
    body = "    @app.command()\n    def bad(option: int | str) -> None: ...\n"
    reason = reason_against(site, app, body)
    assert reason.startswith("hvolab_commands() adds a command that cannot be built: ")


@pytest.mark.parametrize(
    "body",
    [
        "    app.registered_commands.clear()\n",
        "    app.registered_groups.pop()\n",
        "    app.callback()(print)\n",
        "    app.registered_commands = []\n",
        GREET + "    app.registered_commands.reverse()\n",
    ],
)
def test_a_hook_that_changes_what_is_not_its_own(site: Site, app: typer.Typer, body: str) -> None:
    reason = reason_against(site, app, body)
    assert reason == "hvolab_commands() changes commands or a callback that are not its own"


@pytest.mark.parametrize(
    "body",
    [
        GREET.replace("greet", "run"),
        GREET.replace("command()", "command('run')"),
        "    app.add_typer(typer.Typer(), name='run')\n",
        "    sub = typer.Typer()" + GREET.replace("@app", "@sub").replace("greet", "run") + "    app.add_typer(sub)\n",
    ],
)
def test_a_command_whose_name_hvolab_has_itself(site: Site, app: typer.Typer, body: str) -> None:
    reason = reason_against(site, app, body)
    assert reason == "hvolab_commands() adds the command 'run', which is in use by hvolab's own command line"


def test_a_command_whose_name_another_plugin_has(site: Site, app: typer.Typer) -> None:
    site.install("a-first", HEAD + GREET)
    site.install("b-second", HEAD + GREET.replace("hello", "bye"))
    loaded = site.load()
    loaded.add_commands(app)
    assert output_of(app, "greet", "world") == "hello world\n"
    [problem] = loaded.problems
    assert problem.plugin == "b-second"
    assert problem.reason.endswith("'greet', which is in use by plugin 'a-first' (distribution 'a-first')")


def test_a_plugin_that_adds_one_name_twice(site: Site, app: typer.Typer) -> None:
    reason = reason_against(site, app, GREET.replace("greet", "twice") * 2)
    assert reason == "hvolab_commands() adds 'twice' more than once"


def test_a_plugin_whose_commands_fail_is_left_out_with_its_architectures(site: Site, app: typer.Typer) -> None:
    site.install("z80", copy_named("z80") + "\n    @hookimpl\n    def hvolab_commands(app):\n        app.absent\n")
    loaded = site.load()
    assert list(loaded.architectures()) == ["z80"]
    loaded.add_commands(app)
    assert list(loaded.architectures()) == []
    assert loaded.plugins == ()


def test_in_strict_mode_a_failing_command_hook_is_an_error(site: Site, app: typer.Typer) -> None:
    site.install("broken", HEAD + "    raise LookupError('half way')\n")
    loaded = site.load(strict=True)
    with pytest.raises(PluginError, match="half way"):
        loaded.add_commands(app)


@pytest.mark.parametrize("name", ["run", "rnu", "arches"])
def test_only_the_command_that_runs_is_built(app: typer.Typer, name: str) -> None:
    leave_only(app, name)
    names = {*(each.name for each in app.registered_commands), *(each.name for each in app.registered_groups)}
    assert names == ({"run"} if name == "run" else {"run", "arches"})
