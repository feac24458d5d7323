# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab conformance`: the conformance kit, run on the plugins of architectures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hvolab.cli.errors import ExitCode
from hvolab.cli.options import JsonOption, split_names
from hvolab.errors import UsageError
from hvolab.plugin import registry

_NEEDED = ("pytest", "hypothesis")
_EVERYTHING = "all"
#: Most processes over which the checks are spread.
_PROCESSES = 8


def conformance(
    arch: Annotated[
        list[str], typer.Argument(metavar="ARCH", help="Architectures, by name or alias; `all`: every one.")
    ],
    json: JsonOption = False,
) -> None:
    """Test the declarations of an architecture's plugin: geometry, entries, protections, HVO on it under every failure.

    The same as `pytest --pyargs hvolab.conformance --arch ARCH`; a check that needs a capability that the plugin lacks
    is skipped, and its reason names the capability.
    """
    from hvolab.cli.output import print_json

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the conformance kit needs {' and '.join(missing)}", hint="pip install 'hvolab[conformance]'")
    names = (name if name == _EVERYTHING else registry().architecture(name).name for name in split_names(arch))
    code, report = _run(_command(",".join(names)), report=json)
    if json:
        print_json(report)
    if code:
        raise typer.Exit(ExitCode.FINDING if code == 1 else ExitCode.INTERRUPTED if code == 2 else ExitCode.USAGE)


def _command(names: str) -> list[str]:
    """Return the command that runs the kit; it reads and writes nothing in the current folder."""
    from hvolab import conformance as kit

    # the kit's own ini file: otherwise pytest would take the nearest one upwards, of another project
    ini = Path(kit.__file__).with_name("pytest.ini")
    options = ["-q", "-c", str(ini), "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist") is not None:
        options += ["-n", "auto", "--maxprocesses", str(_PROCESSES)]
    # a checkout that is on the path, but not installed, has no entry point: a plugin is loaded once either way
    options += ["-p", "hvolab.conformance.pytest_plugin", "--pyargs", "hvolab.conformance", "--arch", names]
    return [sys.executable, "-m", "pytest", *options]


def _run(command: list[str], *, report: bool) -> tuple[int, Any]:
    """Run the kit in another process, on this terminal or for a report; return pytest's exit code and the report.

    Raises UsageError with pytest's output if pytest writes no report.
    """
    import json
    import subprocess
    import tempfile

    if not report:
        return subprocess.run(command, check=False).returncode, None  # noqa: S603 - this interpreter, own arguments
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [*command, "--conformance-report", str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - as above
        if not path.exists():
            raise UsageError(f"pytest ended with {done.returncode} and no report: {done.stdout}{done.stderr}".strip())
        return done.returncode, json.loads(path.read_text("ascii"))
