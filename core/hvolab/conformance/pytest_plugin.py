# SPDX-License-Identifier: GPL-2.0-only
"""pytest plugin: the option `--arch`, the marker `arch`, and the conformance kit's summary.

pytest loads it in every run, so it imports the rest of hvolab on first use.
"""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.conformance.version import PROPERTY

_SELECTED = pytest.StashKey["frozenset[str] | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("hvolab")
    group.addoption(
        "--arch",
        action="append",
        metavar="NAME",
        help="run the tests of these architectures, and those of none: names or aliases, with commas or repeated; "
        "by default all",
    )
    group.addoption(
        "--conformance-report", metavar="FILE", help="write the summary of hvolab's conformance kit as JSON"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the reporter of the kit."""
    config.addinivalue_line(
        "markers", "arch(name, ...): a test of these architectures; --arch=NAME deselects those of others"
    )
    config.pluginmanager.register(Reporter(config), "hvolab.conformance.reporter")


def selected(config: pytest.Config) -> frozenset[str] | None:
    """Return the names of the architectures of `--arch`, aliases resolved; `None`: all.

    Raises pytest.UsageError for a name that no plugin describes.
    """
    if _SELECTED not in config.stash:
        config.stash[_SELECTED] = _resolved(config.getoption("--arch"))
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
        raise pytest.UsageError(f"--arch: {error}") from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of architectures that `--arch` does not name."""
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
    """Reporter of the kit: collects the outcomes of all processes, and prints their summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._outcomes: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the outcome that a test of the kit carries."""
        if report.when == "call":
            self._outcomes += [
                value for name, value in report.user_properties if name == PROPERTY and isinstance(value, dict)
            ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the summary, and write it to the file of `--conformance-report`."""
        if not self._outcomes:
            return
        from hvolab.conformance.summary import Summary  # noqa: PLC0415 - on first use

        summary = Summary.of(self._outcomes)
        terminalreporter.section("hvolab conformance")
        for line in summary.lines():
            terminalreporter.write_line(line)
        path = self._config.getoption("--conformance-report")
        if path is not None:
            summary.write(path)
