# SPDX-License-Identifier: GPL-2.0-only
"""Base class for a plugin's own tests: one test for each check of the kit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import pytest

from hvolab.arch import Architecture
from hvolab.conformance import pytest_plugin
from hvolab.conformance.check import Check, CheckOutcome, CheckStatus
from hvolab.conformance.checks import CHECKS, made
from hvolab.conformance.subject import Subject, subjects
from hvolab.conformance.version import KIT, PROPERTY
from hvolab.serialize import as_data

Recorder = Callable[[str, object], None]


class Conformance:
    """Tests of every check of the kit, for one architecture.

    architecture  the description; a subclass must set it
    checks        the checks; by default all of the kit
    """

    architecture: ClassVar[Architecture]
    checks: ClassVar[tuple[Check, ...]] = CHECKS

    @classmethod
    def architectures(cls, config: pytest.Config) -> Iterable[Architecture]:
        """Return the architectures to test."""
        del config  # the installed kit reads the option --hvolab-arch from it
        return (cls.architecture,)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test of a check for each of its subjects."""
        if "subject" not in metafunc.fixturenames:
            return
        if not metafunc.config.pluginmanager.has_plugin(pytest_plugin.__name__):
            metafunc.config.pluginmanager.register(pytest_plugin, pytest_plugin.__name__)  # the marker, and the summary
        check: Check = getattr(metafunc.function, _CHECK)
        mode = metafunc.config.getoption("hvolab_mode", None)
        metafunc.parametrize(
            "subject",
            [
                pytest.param(subject, id=str(subject), marks=pytest.mark.arch(architecture.name))
                for architecture in self.architectures(metafunc.config)
                for subject in subjects(architecture, check.scope)
                if mode is None or subject.mode_name in {mode, ""}
            ],
        )

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Add one test for each check to the subclass."""
        super().__init_subclass__(**arguments)
        for check in cls.checks:
            setattr(cls, f"test_{check.name}", _test_of(check))


_CHECK = "hvolab_check"


def _test_of(check: Check) -> Callable[..., None]:
    def test(self: Conformance, subject: Subject, record_property: Recorder) -> None:
        del self
        outcome = made(check, subject)
        record_property(PROPERTY, as_data(outcome))
        end_test(outcome)

    test.__name__ = f"test_{check.name}"
    test.__doc__ = check.proves
    setattr(test, _CHECK, check)
    return test


def end_test(outcome: CheckOutcome) -> None:
    """Skip or fail the test that made a check, with the reason in its outcome."""
    if outcome.verdict in {CheckStatus.SKIPPED, CheckStatus.BLOCKED, CheckStatus.ABSENT}:
        pytest.skip(outcome.reason)
    if outcome.verdict is CheckStatus.ADVISORY:
        pytest.xfail(f"advisory, new in kit {KIT}, the plugin is for {outcome.written_for}: {outcome.reason}")
    if outcome.verdict is CheckStatus.FAILED:
        pytest.fail(f"{outcome.proves}\n{outcome.reason}", pytrace=False)
