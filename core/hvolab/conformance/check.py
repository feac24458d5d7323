# SPDX-License-Identifier: GPL-2.0-only
"""Checks, the capabilities that they need, and their outcomes."""

from __future__ import annotations

import enum
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from hvolab.arch import Architecture
from hvolab.conformance.subject import Scope, Subject
from hvolab.conformance.version import is_advisory
from hvolab.errors import CheckError, HvolabError
from hvolab.plugin.report import sentence

#: Function that makes a check; it may return what it could not see, in words.
Proof = Callable[[Subject], str | None]
#: Names of the capabilities of descriptions with values that are known from elsewhere.
KNOWN_ENTRIES_NAME, KNOWN_FIGURES_NAME = "known entries", "known figures"
KNOWN_BYTES_NAME = "known entries as bytes in memory"
_NOT_IN_DATA = {"data": None}


class CheckFailed(AssertionError):  # noqa: N818 - a result of a check
    """A declaration that does not hold; `where` is empty for the subject as a whole."""

    def __init__(self, what: str, where: str, hint: str) -> None:
        super().__init__(what)
        self.what, self.where, self.rule, self.hint = what, where, "", hint


@dataclass(frozen=True)
class Capability:
    """A property that a check needs, and that not every description has.

    name    its name in the reason of a skip
    hint    the action that gains it
    missing function that returns the reason why a subject lacks it; empty: it has it
    unfit   whether HVO cannot run on a kernel without it
    blocked_by  name of the check that fails where it is missing: a check without it is blocked
    """

    name: str
    hint: str
    missing: Callable[[Subject], str]
    blocked_by: str = ""
    unfit: bool = False


@dataclass(frozen=True)
class Check:
    """One check of the kit.

    name    a sentence in one word, the same in every release
    proves  the sentence in words
    scope   the subjects that it is made for
    needs   capabilities without which it cannot be made
    proof   function that makes it; raises CheckFailed, or another error of hvolab, if it fails
    since   release of the kit that added it
    apart   whether no check rests on it, and it rests on checks of geometry alone
    """

    name: str
    proves: str
    scope: Scope = field(metadata=_NOT_IN_DATA)
    needs: tuple[Capability, ...] = field(metadata=_NOT_IN_DATA)
    proof: Proof = field(metadata=_NOT_IN_DATA)
    since: str = "1.0"
    apart: bool = field(default=False, metadata=_NOT_IN_DATA)


class CheckStatus(enum.Enum):
    """Result of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  #: a capability is missing
    ABSENT = "absent"  #: a capability is missing, on purpose: Architecture.absent
    BLOCKED = "blocked"  #: failed, and so does a check that it rests on
    ADVISORY = "advisory"  #: failed, but newer than the kit that the plugin was written for


@dataclass(frozen=True)
class CheckOutcome:
    """Outcome of one check for one subject, in names and words alone: it passes from one process to another.

    architecture, mode, choice  of the subject
    written_for  release of the kit that the plugin was written for
    check, proves, needs  of the check
    capability   the missing one, for a skip; the failing check, for a blocked one
    unfit        whether HVO cannot run on this kernel, because it lacks that
    position     place of the check in the kit
    reason       reason of a failure or a skip, with a hint; the failing check, for a blocked one; what a check that
                 passed could not see
    """

    architecture: str
    written_for: str
    mode: str
    choice: str
    check: str
    proves: str
    needs: tuple[str, ...]
    verdict: CheckStatus
    capability: str = ""
    reason: str = ""
    position: int = 0
    unfit: bool = False

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> CheckOutcome:
        """Return the outcome that as_data() made `data` of."""
        return cls(**{**data, "needs": tuple(data["needs"]), "verdict": CheckStatus(data["verdict"])})

    @property
    def subject(self) -> str:
        """Mode and choice in words; empty for the architecture as a whole."""
        return " ".join(word for word in (self.mode, self.choice) if word)


class Checks(list[Check]):
    """Checks of one module, in the order of their definitions."""

    def add(
        self, scope: Scope, *needs: Capability, since: str = "1.0", apart: bool = False
    ) -> Callable[[Proof], Proof]:
        """Return a decorator that makes a check of a function: name and first line of the docstring are the check's."""

        def added(proof: Proof) -> Proof:
            proves = (proof.__doc__ or "").strip().partition("\n")[0]
            self.append(Check(proof.__name__, proves, scope, needs, proof, since, apart))
            return proof

        return added


def make(check: Check, subject: Subject, earlier: Sequence[Check] = ()) -> CheckOutcome:
    """Make `check` for `subject`.

    earlier  the checks before it in the kit: if it fails, and one of them fails for the same subject, it is blocked
    """
    outcome = _made(check, subject)
    if outcome.verdict is not CheckStatus.FAILED:
        return outcome
    for root, of in _rests_on(check, subject, earlier):
        if _FAILURES.fails(root, of):
            where = f" for {of}" if str(of) != str(subject) else ""
            reason = f"rests on {root.name}, which fails{where}; hint: fix that one, and run the kit again"
            return replace(outcome, verdict=CheckStatus.BLOCKED, capability=root.name, reason=reason)
    return outcome


def _rests_on(check: Check, subject: Subject, earlier: Sequence[Check]) -> Iterator[tuple[Check, Subject]]:
    """Yield the checks on which one rests, each with its subject: what fails there is the cause of a failure here.

    They are the checks before it, and the same check for the mode without a choice of profile, release or features. A
    check of a whole mode may make choices of its own, and rests on the checks of each.
    """
    if subject.choice and earlier:
        yield check, subject.plain
    if check.apart:  # on checks of the first room alone, geometry
        earlier = [one for one in earlier if one.proof.__module__ == earlier[0].proof.__module__]
    for one in earlier:
        if not one.apart:
            for of in one.scope.subjects_within(subject, check.scope):
                yield one, of


class _Failures:
    """Failing checks of the architecture that was checked last."""

    def __init__(self) -> None:
        self._architecture: Architecture | None = None
        self._fails: dict[tuple[str, str], bool] = {}

    def fails(self, check: Check, subject: Subject) -> bool:
        """Return whether the check fails for the subject."""
        if subject.architecture is not self._architecture:
            self._architecture = subject.architecture
            self._fails.clear()
        key = check.name, str(subject)
        if key not in self._fails:
            self._fails[key] = _made(check, subject).verdict is CheckStatus.FAILED
        return self._fails[key]


_FAILURES = _Failures()


def _made(check: Check, subject: Subject) -> CheckOutcome:
    """Make `check` for `subject`, whatever it rests on."""
    architecture, needs = subject.architecture, tuple(capability.name for capability in check.needs)
    of_subject = partial(CheckOutcome, architecture.name, architecture.kit, subject.mode_name, subject.choice)
    outcome = partial(of_subject, check.name, check.proves, needs)
    for capability in check.needs:
        if why := capability.missing(subject):
            if absent := dict(architecture.absent).get(capability.name):
                return outcome(CheckStatus.ABSENT, capability.name, f"absent on purpose: {absent}")
            reason = f"needs {capability.name}: {why}; hint: {capability.hint}"
            if capability.blocked_by:
                return outcome(CheckStatus.BLOCKED, capability.blocked_by, reason)
            return outcome(CheckStatus.SKIPPED, capability.name, reason, unfit=capability.unfit)
    try:
        unseen = check.proof(subject)
    except (CheckFailed, HvolabError) as error:
        failure = CheckError(error.what, where=error.where or str(subject), rule=error.rule, hint=error.hint)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - of the plugin's code, and pytest takes some for a skip or an exit
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = "; ".join(filter(None, (str(subject), f"{frame.filename}:{frame.lineno}")))
        failure = CheckError(f"the check ends with {sentence(error)}", where=where)
    else:
        return outcome(CheckStatus.PASSED, "", unseen or "")
    advisory = is_advisory(check.since, architecture.kit)
    return outcome(CheckStatus.ADVISORY if advisory else CheckStatus.FAILED, "", str(failure))


def require(holds: object, what: str, *, where: object = "", hint: str = "") -> None:
    """Raise CheckFailed unless `holds`."""
    if not holds:
        raise CheckFailed(what, str(where), hint)
