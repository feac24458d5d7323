"""`hvolab conformance`: prove what a plugin declares, with the kit that ships with hvolab."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import JsonOption

_NEEDED = ("pytest", "hypothesis")
_EVERYTHING = "all"
#: Processes at most that the checks are spread over.
_PROCESSES = 8


def conformance(
    arch: Annotated[
        list[str], typer.Argument(metavar="ARCH", help="Architectures, by name or alias; `all`: every one.")
    ],
    json: JsonOption = False,
) -> None:
    """Prove what an architecture's plugin declares: geometry, entries, protections, HVO on it under every failure.

    The same as `pytest --pyargs hvolab.conformance --arch ARCH`; a check that needs what the plugin does not have is
    skipped, and says so.
    """
    from hvolab.cli.errors import ExitCode
    from hvolab.cli.output import print_json

    _require_pytest()
    names = _names(arch)
    code, report = _run_quietly(names) if json else (_run(names), None)
    if report is not None:
        print_json(report)
    if code:
        raise typer.Exit(ExitCode.FINDING if code == 1 else ExitCode.INTERRUPTED if code == 2 else ExitCode.USAGE)


def _require_pytest() -> None:
    """Raise UsageError where what the kit is run with is not installed."""
    import importlib.util

    from hvolab.errors import UsageError

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the conformance kit needs {' and '.join(missing)}", hint="pip install 'hvolab[conformance]'")


def _names(given: list[str]) -> str:
    """The names for `--arch`; raises UsageError for one that no plugin describes."""
    from hvolab.plugin import registry

    names = [name.strip() for item in given for name in item.split(",") if name.strip()]
    return ",".join(name if name == _EVERYTHING else registry().architecture(name).name for name in names)


def _command(names: str) -> list[str]:
    """The command that runs the kit; nothing of the place where it is called is read, and nothing written there."""
    import importlib.util
    import sys
    from pathlib import Path

    from hvolab import conformance as kit

    # an ini file of the kit's own: the nearest one upwards, somebody else's, is not taken for it
    ini = Path(kit.__file__).with_name("pytest.ini")
    quiet = ["-q", "-c", str(ini), "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist") is not None:
        quiet += ["-n", "auto", "--maxprocesses", str(_PROCESSES)]
    # a checkout that is on the path, but not installed, has no entry point: a plugin is loaded once either way
    plugin = ["-p", "hvolab.conformance.pytest_plugin"]
    return [sys.executable, "-m", "pytest", *quiet, *plugin, "--pyargs", "hvolab.conformance", "--arch", names]


def _run(names: str) -> int:
    """Run the kit in a process of its own, on this terminal; give pytest's exit code."""
    import subprocess

    return subprocess.run(_command(names), check=False).returncode  # noqa: S603 - this interpreter, our own arguments


def _run_quietly(names: str) -> tuple[int, object]:
    """Run the kit without a word; give pytest's exit code and the report.

    Raises UsageError where there is no report, with what pytest said.
    """
    import json
    import subprocess
    import tempfile
    from pathlib import Path

    from hvolab.errors import UsageError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [*_command(names), "--conformance-report", str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - as above
        if not path.exists():
            raise UsageError(f"pytest ended with {done.returncode} and no report: {done.stdout}{done.stderr}".strip())
        return done.returncode, json.loads(path.read_text("ascii"))
