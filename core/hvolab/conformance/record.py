"""Records of outcomes: plain data, which passes from one process to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hvolab.conformance.check import CheckOutcome


@dataclass(frozen=True)
class Record:
    """Outcome of one check for one subject, in names and words alone."""

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
        """Return the record of an outcome."""
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

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Record:
        """Return the record that as_data() made `data` of."""
        return cls(**{**data, "needs": tuple(data["needs"])})

    @property
    def subject(self) -> str:
        """Mode and choice in words; empty for the architecture as a whole."""
        return " ".join(word for word in (self.mode, self.choice) if word)
