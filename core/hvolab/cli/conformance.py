# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab conformance`: the conformance kit, run on the plugins of architectures."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hvolab.cli.errors import ExitCode
from hvolab.cli.options import JsonOption, complete_architecture, complete_mode, split_names
from hvolab.errors import CheckError, UsageError
from hvolab.plugin import registry

_NEEDED = ("pytest", "hypothesis")
_EVERYTHING = "all"
#: Most processes over which the checks are spread.
_PROCESSES = 8
#: Exit codes of the kit's process: after SIGINT, or modules that pytest cannot collect; without any test; after its
#: reader closes a pipe.
_INTERRUPTED, _NONE, _PIPE_CLOSED = 2, 5, 141
#: Program of the kit's process: finds modules where this process does, and not in the current folder.
_START = f"""
import json, os, sys
sys.path[:] = json.loads(sys.argv.pop(1))
import pytest
try:
    code = pytest.main()
    sys.stdout.flush()
except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    code = {_PIPE_CLOSED}
sys.exit(code)
"""
#: Environment variables for runs of pytest of other projects, and one that removes the texts of the checks.
_OF_OTHER_RUNS = frozenset({"PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER", "PYTHONOPTIMIZE"})


def conformance(
    arch: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARCH",
            help="Architectures, by name or alias; `all`: every one.",
            autocompletion=complete_architecture,
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            "-m",
            metavar="NAME",
            help="This paging mode alone, and what is of the whole plugin.",
            autocompletion=complete_mode,
        ),
    ] = None,
    check: Annotated[
        str | None, typer.Option("--check", "-k", metavar="TEXT", help="The checks with this in their name alone.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the checks and exit.")] = False,
    json: JsonOption = False,
) -> None:
    """Test the declarations of an architecture's plugin: geometry, entries, protections, HVO on it under every failure.

    A check that needs a capability that the plugin lacks is skipped, and its reason names the capability. Exit code 1
    means that a check failed. The current folder is neither read nor written.

    hvolab conformance riscv --check page_kernel_ro
    """
    from hvolab.cli.output import print_json

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the conformance kit needs {' and '.join(missing)}", hint="pip install 'hvolab[conformance]'")
    if listed:
        _show_checks(json=json)
        return
    chosen = split_names(arch or [])
    if not chosen:
        raise UsageError("no architecture is named", hint="hvolab conformance ARCH; `hvolab arches` lists them")
    names = [name if name == _EVERYTHING else registry().architecture(name).name for name in chosen]
    if mode is not None:
        _require_mode(names, mode)
    options = [*(("--hvolab-mode", mode) if mode else ()), *(("-k", check) if check else ())]
    report, ended = _run(",".join(names), options, quiet=json)
    error = _error_of(report, ended)
    if json and report:
        print_json(report)
    if error is not None:
        raise error
    if any(architecture["failed"] or architecture["blocked"] for architecture in report["architectures"]):
        raise typer.Exit(ExitCode.FINDING)


def _require_mode(names: list[str], mode: str) -> None:
    """Raise UsageError if none of the architectures has the mode."""
    described = registry().architectures()
    candidates = [one for one in described.values() if _EVERYTHING in names or one.name in names]
    if not any(mode == each.name for one in candidates for each in one.modes):
        candidates[0].mode(mode)


def _show_checks(*, json: bool) -> None:
    """Print name and sentence of each check, in the order in which a porter needs them."""
    from hvolab.cli.output import print_json, show, table
    from hvolab.conformance.checks import CHECKS

    if json:
        print_json(CHECKS)
        return
    rows = table("check", "proves")
    rows.columns[0].no_wrap, rows.columns[1].no_wrap = True, False
    for check in CHECKS:
        rows.add_row(check.name, check.proves)
    show(rows)


def _error_of(report: dict[str, Any], ended: str) -> CheckError | None:
    """Return the error of a run in which a check has no result, None if all have one."""
    if errors := report.get("errors"):
        what = f"checks that ended without a result: {len(errors)}"
        hint = "`pytest -p hvolab.conformance.pytest_plugin --pyargs hvolab.conformance -k NAME` runs one by itself"
        return CheckError(what, where="; ".join(errors), hint=hint)
    return None if report.get("complete") else CheckError("pytest ended before all checks were made", where=ended)


def _command(names: str, report: Path, more: list[str]) -> list[str]:
    """Return the command that runs the kit: with the kit's own plugin and ini file, and without conftest.py.

    more  further options of pytest
    """
    import json

    from hvolab import conformance as kit

    ini = Path(kit.__file__).with_name("pytest.ini")
    options = ["-q", "--tb=no", "-rN", "-c", str(ini), "--noconftest", "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist") is not None:
        options += ["-p", "xdist", "-n", "auto", "--maxprocesses", str(_PROCESSES)]
    options += ["-p", "hvolab.conformance.pytest_plugin", "--pyargs", "hvolab.conformance"]
    options += ["--hvolab-arch", names, "--hvolab-report", str(report), *more]
    return [sys.executable, "-c", _START, json.dumps(sys.path), *options]


def _environment(folder: str) -> dict[str, str]:
    """Return the environment of the kit's process: the user's, without what changes a run of pytest."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_OTHER_RUNS}
    own = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HYPOTHESIS_STORAGE_DIRECTORY": folder}
    return {**kept, **own, "PYTHONSAFEPATH": "1"}  # processes of pytest-xdist do not search the current folder either


def _run(names: str, options: list[str], *, quiet: bool) -> tuple[dict[str, Any], str]:
    """Run the kit in another process, on this terminal or quietly; return its report, and its end in words.

    The report is empty if the process did not get so far. Raises KeyboardInterrupt if a signal stops pytest, and
    UsageError if the options leave no check.
    """
    import json
    import tempfile

    from hvolab.cli.output import end_of_pipe

    with tempfile.TemporaryDirectory(prefix="hvolab-") as folder:
        path = Path(folder) / "report.json"
        code, output = _run_group(_command(names, path, options), _environment(folder), quiet=quiet)
        report: dict[str, Any] = json.loads(path.read_text("ascii")) if path.exists() else {}
    if code == _PIPE_CLOSED:
        end_of_pipe()
    if code == _NONE and not report.get("errors"):
        raise UsageError("no check has that in its name", hint="list them: hvolab conformance --list")
    if code == _INTERRUPTED and not report.get("errors"):
        raise KeyboardInterrupt
    return report, "; ".join(filter(None, (f"exit code {code}", output.strip())))


def _run_group(command: list[str], environment: dict[str, str], *, quiet: bool) -> tuple[int, str]:
    """Run a command in a process group of its own; return its exit code, and its output if it is quiet.

    An interrupt ends the whole group: the workers of a pytest that was killed would finish their checks.
    """
    import signal
    import subprocess

    begun = subprocess.Popen(  # noqa: S603 - this interpreter, own arguments
        command,
        process_group=0,
        env=environment,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        errors="replace",
    )
    with begun as process:
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output or ""
