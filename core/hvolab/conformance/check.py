"""Checks, the capabilities that they need, and their outcomes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hvolab.conformance.subject import Scope, Subject
from hvolab.conformance.version import is_advisory
from hvolab.errors import HvolabError

Proof = Callable[[Subject], None]


class CheckFailed(AssertionError):  # noqa: N818 - test frameworks expect an AssertionError
    """A declaration that does not hold; the message has the value, the place and a hint."""


@dataclass(frozen=True)
class Capability:
    """A property that a check needs, and that not every description has.

    name    its name in the reason of a skip
    hint    the action that gains it
    missing function that returns the reason why a subject lacks it; empty: it has it
    """

    name: str
    hint: str
    missing: Callable[[Subject], str]


@dataclass(frozen=True)
class Check:
    """One check of the kit.

    name    a sentence in one word, the same in every release
    proves  the sentence in words
    scope   the subjects that it is made for
    needs   capabilities without which it cannot be made
    proof   function that makes it; raises CheckFailed, or any error of hvolab, if it fails
    since   release of the kit that added it
    """

    name: str
    proves: str
    scope: Scope
    needs: tuple[Capability, ...]
    proof: Proof
    since: str = "1.0"


class CheckStatus(enum.Enum):
    """Result of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  #: a capability is missing
    ADVISORY = "advisory"  #: failed, but newer than the kit that the plugin was written for


@dataclass(frozen=True)
class CheckOutcome:
    """Outcome of one check for one subject.

    capability  the missing one, for a skip
    reason      reason of a failure or a skip, with a hint
    """

    check: Check
    subject: Subject
    verdict: CheckStatus
    capability: str = ""
    reason: str = ""


class Checks:
    """Checks of one module, in the order of their definitions."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks)

    def add(self, scope: Scope, *needs: Capability, since: str = "1.0") -> Callable[[Proof], Proof]:
        """Return a decorator that makes a check of a function: name and first line of the docstring are the check's."""

        def added(proof: Proof) -> Proof:
            proves = (proof.__doc__ or "").strip().partition("\n")[0]
            self._checks.append(Check(proof.__name__, proves, scope, needs, proof, since))
            return proof

        return added


def make(check: Check, subject: Subject) -> CheckOutcome:
    """Make `check` for `subject`."""
    for capability in check.needs:
        if why := capability.missing(subject):
            reason = f"needs {capability.name}: {why}; hint: {capability.hint}"
            return CheckOutcome(check, subject, CheckStatus.SKIPPED, capability.name, reason)
    try:
        check.proof(subject)
    except (CheckFailed, HvolabError) as error:
        advisory = is_advisory(check.since, subject.architecture.kit)
        return CheckOutcome(check, subject, CheckStatus.ADVISORY if advisory else CheckStatus.FAILED, "", str(error))
    return CheckOutcome(check, subject, CheckStatus.PASSED)


def require(holds: object, what: str, *, where: object = "", hint: str = "") -> None:
    """Raise CheckFailed unless `holds`."""
    if not holds:
        titled = (("where", str(where)), ("hint", hint))
        raise CheckFailed("; ".join([what, *(f"{title}: {text}" for title, text in titled if text)]))
