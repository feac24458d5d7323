"""A check, the capabilities that it needs, and what comes of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hvolab.conformance.subject import Scope, Subject
from hvolab.conformance.version import is_advisory
from hvolab.errors import HvolabError

Proof = Callable[[Subject], None]


class CheckFailed(AssertionError):  # noqa: N818 - what a test framework expects to be raised
    """What a description declares does not hold; the message has the value, the place and a hint."""


@dataclass(frozen=True)
class Capability:
    """Something that a check needs, and that not every description has.

    name    what the reason of a skip calls it
    hint    the action that gains it
    missing why a subject does not have it; empty where it does
    """

    name: str
    hint: str
    missing: Callable[[Subject], str]


@dataclass(frozen=True)
class Check:
    """One thing that the kit proves.

    name    a sentence in one word, the same in every release
    proves  the sentence in words
    scope   how often it is made
    needs   capabilities without which it cannot be made
    proof   makes it; raises CheckFailed, or any error of hvolab, where it does not hold
    since   release of the kit that added it
    """

    name: str
    proves: str
    scope: Scope
    needs: tuple[Capability, ...]
    proof: Proof
    since: str = "1.0"


class CheckStatus(enum.Enum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  #: a capability is missing
    ADVISORY = "advisory"  #: failed, but newer than the kit that the plugin was written for


@dataclass(frozen=True)
class CheckOutcome:
    """What came of one check for one subject.

    capability  the one that is missing, for a skip
    reason      why it failed, or why it was skipped, with a hint
    """

    check: Check
    subject: Subject
    verdict: CheckStatus
    capability: str = ""
    reason: str = ""


class Checks:
    """Collects the checks of one module, in the order in which they stand there."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks)

    def add(self, scope: Scope, *needs: Capability, since: str = "1.0") -> Callable[[Proof], Proof]:
        """Decorate a function that makes a check; its name is the check's, the first line of its docstring the rest."""

        def added(proof: Proof) -> Proof:
            proves = (proof.__doc__ or "").strip().partition("\n")[0]
            self._checks.append(Check(proof.__name__, proves, scope, needs, proof, since))
            return proof

        return added


def make(check: Check, subject: Subject) -> CheckOutcome:
    """Make ``check`` for ``subject``."""
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
    """Raise CheckFailed unless ``holds``."""
    if not holds:
        parts = [what, *([f"where: {where}"] if str(where) else []), *([f"hint: {hint}"] if hint else [])]
        raise CheckFailed("; ".join(parts))


def in_words(numbers: Iterable[int]) -> str:
    """Numbers of bits with commas between."""
    return ", ".join(map(str, numbers))
