# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab plugins`, and what plugins that misbehave while they are loaded do to other commands: nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hvolab.cli import plugins
from hvolab.cli.errors import ExitCode
from hvolab.plugin import PluginOrigin, PluginRegistry, PluginStatus
from hvolab.plugin.load_marker import UnfinishedLoad
from tests.core.cli.conftest import Invoke, Spawn, own_environment
from tests.core.plugin.conftest import site
from tests.core.plugin.site import Site, copy_named

__all__ = ["site"]

#: Plugins by name; each harms the process in its way while it is imported.
HARMFUL = {
    "exits": "raise SystemExit(1)",
    "panics": "class PanicException(BaseException): pass\nraise PanicException('a panic')",
    "skips": "import pytest\npytest.skip('not here', allow_module_level=True)",
    "closes": "import os, sys\nprint('closing')\nsys.stdout.close()\nos.close(1)\n1 / 0",
    "replaces": "import io, sys\nsys.stdout = sys.stderr = io.StringIO()\n1 / 0",
    "empties": "import os, sys\nos.environ.clear()\nsys.argv.clear()\nos.chdir('/')\n1 / 0",
    "limits": "import sys, warnings\nsys.setrecursionlimit(70)\nwarnings.simplefilter('error')\n1 / 0",
    "hides": "import sys\nsys.modules['json'] = sys.modules['rich'] = None\n1 / 0",
    "asks": "input()",
}
COMMAND = """
from hvolab.plugin import hookimpl
print("loud as commands")

@hookimpl
def hvolab_commands(app):
    print("loud in hvolab_commands")
    @app.command()
    def greet() -> None:
        print("hello")
"""


@pytest.mark.slow
def test_plugins_that_harm_the_process_are_named_and_the_rest_works(site: Site, spawn: Spawn) -> None:
    for name, source in HARMFUL.items():
        site.install(name, source)
    site.install("greeter", COMMAND)
    done = spawn("plugins", "--json")
    assert done.returncode == ExitCode.AS_DECLARED, done.stderr
    found = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
    assert {name for name, plugin in found.items() if plugin["state"] == "left out"} == set(HARMFUL)
    assert "PanicException: a panic" in found["panics"]["problem"]
    assert "Skipped: not here" in found["skips"]["problem"]
    assert "EOFError" in found["asks"]["problem"]
    greeter = found["greeter"]
    assert (greeter["distribution"], greeter["version"], greeter["state"]) == ("greeter", "1.0", "loaded")
    assert (greeter["hooks"], greeter["problem"]) == (["hvolab_commands"], "")
    assert greeter["seconds"] > 0
    assert done.stderr.splitlines() == ["closing", "loud as commands", "loud in hvolab_commands"]


@pytest.mark.slow
def test_a_plugins_command_prints_to_standard_output_and_no_other_code_of_it(site: Site, spawn: Spawn) -> None:
    site.install("greeter", COMMAND)
    done = spawn("greet")
    assert (done.stdout, done.stderr) == ("hello\n", "loud as commands\nloud in hvolab_commands\n")


@pytest.mark.slow
def test_a_plugin_that_ends_the_process_is_named_by_the_next_start(site: Site, spawn: Spawn) -> None:
    site.install("crashes", "import os\nos._exit(9)")
    assert spawn("arches", "riscv", "--json").returncode == 9
    second = spawn("arches", "riscv", "--json", HVOLAB_DISABLE="crashes, nonesuch")
    assert json.loads(second.stdout)[0]["name"] == "riscv"
    assert second.stderr.splitlines() == [
        "warning: an earlier start ended while it loaded plugin 'crashes' (distribution 'crashes')",
        "  hint: HVOLAB_DISABLE=crashes leaves it out",
        "warning: HVOLAB_DISABLE names 'nonesuch', but no plugin has this name",
        "  hint: `hvolab plugins` lists them",
    ]
    assert spawn("arches", "riscv", HVOLAB_DISABLE="crashes").stderr == ""


def test_a_plugin_that_is_interrupted_is_named_at_once(site: Site, spawn: Spawn) -> None:
    site.install("waits", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = spawn("arches")
    assert done.returncode == ExitCode.INTERRUPTED
    assert done.stderr == (
        "warning: interrupted while plugin 'waits' (distribution 'waits') was loaded; "
        "hint: HVOLAB_DISABLE=waits leaves it out\n"
    )


def test_the_table_shows_states_and_reasons(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    site.install("crooked", "raise LookupError('a screw loose')")
    site.install("greeter", COMMAND)
    monkeypatch.setenv("HVOLAB_DISABLE", "resting")
    site.install("resting", "1 / 0")
    loaded = site.load()
    monkeypatch.setattr(plugins, "registry", lambda: loaded)
    lines = [line.split() for line in invoke("plugins").stdout.splitlines()]
    assert lines[0] == ["plugin", "distribution", "version", "state", "time", "hooks"]
    assert lines[2][:5] == ["crooked", "crooked", "1.0", "left", "out"]
    assert (lines[3][:4], lines[3][-2:]) == (["greeter", "greeter", "1.0", "loaded"], ["ms", "commands"])
    assert lines[4] == ["resting", "resting", "1.0", "disabled"]
    assert lines[6][:2] == ["crooked:", "it"]


def test_without_plugins_the_table_says_so(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "registry", PluginRegistry)
    assert invoke("plugins").stdout == "no plugin is installed\n"


def test_slow_plugins_are_named_with_the_variable(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install("z80", copy_named("z80"))
    site.install("own", copy_named("own"), distribution="hvolab")
    monkeypatch.setattr(plugins, "SLOW", 0)
    plugins.show_problems(site.load(), listed=False)
    [warning, hint] = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: plugin 'z80' (distribution 'z80') took ")
    assert hint == "  hint: HVOLAB_DISABLE=z80 leaves it out"


def test_a_load_that_goes_on_elsewhere_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    plugins.show_unfinished([UnfinishedLoad(PluginOrigin("z80", "acme", "acme"), 77, 41.3)])
    assert capsys.readouterr().err == (
        "warning: process 77 has been loading plugin 'z80' (distribution 'acme') for 41 s\n"
        "  hint: HVOLAB_DISABLE=z80 leaves it out\n"
    )


def test_a_status_has_one_state() -> None:
    origin = PluginOrigin("z80", "acme", "acme")
    states = [PluginStatus(origin), PluginStatus(origin, problem="late"), PluginStatus(origin, disabled=True)]
    assert [plugins.state_of(status) for status in states] == ["loaded", "left out", "disabled"]


@pytest.mark.slow
def test_plugins_are_loaded_where_all_standard_streams_are_closed(site: Site) -> None:
    site.install("greeter", COMMAND)
    command = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "hvolab", "greet"]
    assert subprocess.run(command, check=False, env=own_environment()).returncode == ExitCode.AS_DECLARED
