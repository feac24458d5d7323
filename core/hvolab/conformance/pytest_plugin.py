# SPDX-License-Identifier: GPL-2.0-only
"""pytest plugin: options with the prefix `--hvolab-`, the marker `arch`, and the conformance kit's summary.

pytest loads it by `-p hvolab.conformance.pytest_plugin`, by a conftest's pytest_plugins, or for a class of tests that
is derived from `Conformance`; other runs are without it. The last way is too late for options, and for the summary of
a run over several processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hvolab.conformance.version import PROPERTY

if TYPE_CHECKING:
    from hvolab.conformance.summary import Summary

_SELECTED = pytest.StashKey["frozenset[str] | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("hvolab")
    group.addoption(
        "--hvolab-arch",
        dest="hvolab_arch",  # in words: a conftest may add a short name for it
        action="append",
        metavar="NAME",
        help="run the tests of these architectures, and those of none: names or aliases, with commas or repeated; "
        "by default all",
    )
    group.addoption(
        "--hvolab-mode", metavar="NAME", help="make the kit's checks for this paging mode, and those of a whole plugin"
    )
    group.addoption("--hvolab-report", metavar="FILE", help="write the summary of hvolab's conformance kit as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the reporter of the kit."""
    config.addinivalue_line(
        "markers", "arch(name, ...): a test of these architectures; --hvolab-arch=NAME deselects those of others"
    )
    config.pluginmanager.register(Reporter(config), "hvolab.conformance.reporter")


def selected(config: pytest.Config) -> frozenset[str] | None:
    """Return the names of the architectures of `--hvolab-arch`, aliases resolved; `None`: all.

    Raises pytest.UsageError for a name that no plugin describes.
    """
    if _SELECTED not in config.stash:
        config.stash[_SELECTED] = _resolved(config.getoption("hvolab_arch", None))
    return config.stash[_SELECTED]


def _resolved(given: list[str] | None) -> frozenset[str] | None:
    wanted = [name.strip() for item in given or () for name in item.split(",") if name.strip()]
    if not wanted or "all" in wanted:
        return None
    from hvolab.errors import UsageError  # noqa: PLC0415 - on first use
    from hvolab.plugin import registry  # noqa: PLC0415 - the same

    try:
        return frozenset(registry().architecture(name).name for name in wanted)
    except UsageError as error:
        raise pytest.UsageError(f"--hvolab-arch: {error}") from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of architectures that `--hvolab-arch` does not name."""
    names = selected(config)
    if names is None:
        return
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        marked = {name for mark in item.iter_markers("arch") for name in mark.args}
        (left if marked and not marked & names else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


class Reporter:
    """Reporter of the kit: collects the outcomes of all processes, prints their summary and writes it to a file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._outcomes: list[dict[str, Any]] = []
        self._errors: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Collect the errors of modules that cannot be collected."""
        if report.failed:
            self._errors.append(f"{report.nodeid}: {_last_line(report.longreprtext)}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the outcome that a test of the kit carries, or the error of one that ended without."""
        found = [value for name, value in report.user_properties if name == PROPERTY and isinstance(value, dict)]
        if report.when == "call":
            self._outcomes += found
        if report.failed and not found:
            self._errors.append(f"{report.nodeid}: {_last_line(report.longreprtext)}")

    @property
    def _summary(self) -> Summary:
        from hvolab.conformance.summary import Summary  # noqa: PLC0415 - on first use

        return Summary.of(self._outcomes)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the summary."""
        if self._outcomes:
            terminalreporter.section("hvolab conformance")
            for line in self._summary.lines():
                terminalreporter.write_line(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Sort pytest's reports of failures, and write the summary to the file of `--hvolab-report`.

        Failures are in the order of the kit, in whatever order several processes end. The first of these alone writes.
        A run in which a check is blocked by one that was not selected has failed.
        """
        if exitstatus == pytest.ExitCode.OK and any(outcome["verdict"] == "blocked" for outcome in self._outcomes):
            session.exitstatus = exitstatus = pytest.ExitCode.TESTS_FAILED
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and self._outcomes:
            order = {outcome.check: position for position, outcome in enumerate(self._summary.outcomes)}
            terminal.stats.get("failed", []).sort(key=lambda report: order.get(_check_of(report), -1))
        path = self._config.getoption("hvolab_report", None)
        if path is not None and not hasattr(self._config, "workerinput"):
            complete = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
            self._summary.write(path, self._errors, complete=complete)


def _check_of(report: pytest.TestReport) -> str:
    """Return the name of the check whose outcome a report has; empty for a test of another kind."""
    found = [value for name, value in report.user_properties if name == PROPERTY and isinstance(value, dict)]
    return found[0]["check"] if found else ""


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
