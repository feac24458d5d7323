"""What the summary keeps of one check: plain data, which crosses from one process to another."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hvolab.conformance.check import CheckOutcome


@dataclass(frozen=True)
class Record:
    """One check for one subject: names and words alone."""

    architecture: str
    written_for: str
    mode: str
    choice: str
    check: str
    proves: str
    needs: tuple[str, ...]
    verdict: str
    capability: str
    reason: str

    @classmethod
    def of(cls, outcome: CheckOutcome) -> Record:
        """The record of an outcome."""
        subject, check = outcome.subject, outcome.check
        return cls(
            architecture=subject.architecture.name,
            written_for=subject.architecture.kit,
            mode=subject.mode_name,
            choice=subject.choice,
            check=check.name,
            proves=check.proves,
            needs=tuple(capability.name for capability in check.needs),
            verdict=outcome.verdict.value,
            capability=outcome.capability,
            reason=outcome.reason,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "needs": list(self.needs)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Record:
        """The record that as_dict() gave."""
        return cls(**{**data, "needs": tuple(data["needs"])})

    @property
    def subject(self) -> str:
        """Mode and choice in words; empty for the architecture as a whole."""
        return " ".join(word for word in (self.mode, self.choice) if word)
