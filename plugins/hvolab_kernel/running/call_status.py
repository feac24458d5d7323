"""How a call of a kernel's function ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from hvolab.arch import Fault
from hvolab.errors import KernelBug


class CallStatus(enum.Enum):
    """How a call ended. The value is what a reader is told."""

    RETURNED = "returned"
    FAULT = "faulted"
    BUG = "ran into a BUG()"
    STUCK = "did not come to its end"
    STOPPED = "called a function that nobody can answer for"
    EXCEPTION = "raised an exception"


@dataclass(frozen=True)
class CallResult:
    """How a call ended, and what was noticed on the way.

    function     what was called
    ending       how it ended
    result       what stood in the register for results, if it returned; else 0
    place        symbol and offset of the instruction that it ended at, empty if it returned
    what         more of that in words: the exception, the function that nobody answers for, the bound
    fault        the architecture's record of a page fault
    backtrace    the functions that were under way, innermost first: return addresses found on the stack
    disassembly  the instructions around the place, the one that it ended at marked by an arrow
    findings     what should not have happened although the call went on: messages, and warnings with their backtrace
    """

    function: str
    ending: CallStatus
    result: int = 0
    place: str = ""
    what: str = ""
    fault: Fault | None = None
    backtrace: tuple[str, ...] = ()
    disassembly: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def returned(self) -> bool:
        """Whether it returned."""
        return self.ending is CallStatus.RETURNED

    def __str__(self) -> str:
        if self.returned:
            return f"{self.function} returned {self.result:#x}"
        more = f": {self.what}" if self.what else ""
        fault = f": {self.fault}" if self.fault is not None else ""
        return f"{self.function} {self.ending.value} at {self.place}{more}{fault}"

    def required(self) -> CallResult:
        """Itself; raises KernelBug with the backtrace where the call did not return."""
        if self.returned:
            return self
        code = f"; {'; '.join(self.disassembly)}" if self.disassembly else ""
        raise KernelBug(str(self), where=" < ".join(self.backtrace) + code)

    def as_dict(self) -> dict[str, Any]:
        """The outcome for JSON."""
        return {
            "function": self.function,
            "ending": self.ending.name.lower(),
            "result": f"{self.result:#x}" if self.returned else None,
            "place": self.place,
            "what": self.what,
            "fault": None if self.fault is None else str(self.fault),
            "backtrace": list(self.backtrace),
            "disassembly": list(self.disassembly),
            "findings": list(self.findings),
        }
