"""Faults: the architectural record of an access that the MMU refused."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hvolab.arch.fields import FieldValues
from hvolab.errors import HvolabError


class Access(enum.IntFlag):
    """What an access does; the values are bits so that permissions can be masked."""

    READ = 1
    WRITE = 2
    EXECUTE = 4
    ATOMIC = READ | WRITE  #: a compare-and-swap


class FaultKind(enum.Enum):
    """Why an access was refused."""

    TRANSLATION = "translation"  #: an entry on the way is not valid
    PERMISSION = "permission"  #: the mapping does not allow the access
    ACCESS_FLAG = "access flag"  #: the accessed flag is clear and software has to set it
    DIRTY_FLAG = "dirty flag"  #: the dirty flag is clear and software has to set it
    RESERVED = "reserved bit"  #: an entry on the way is not legal
    ABSENT = "absent memory"  #: the walk or the access leads to a PA where there is no memory


@dataclass(frozen=True)
class Fault:
    """The record of one fault.

    kind      why
    access    what was tried
    va        the VA that was accessed
    level     name of the level at which the walk ended
    raw       the entry that it ended with
    cpu       index of the CPU
    syndrome  the registers that the architecture reports the fault in, by name
    """

    kind: FaultKind
    access: Access
    va: int
    level: str
    raw: int
    cpu: int = 0
    syndrome: FieldValues = ()

    def __str__(self) -> str:
        registers = " ".join(f"{name}={value:#x}" for name, value in self.syndrome)
        return (
            f"{self.kind.value} fault: {(self.access.name or 'access').lower()} at VA {self.va:#x}, "
            f"level {self.level}, entry {self.raw:#018x}" + (f" ({registers})" if registers else "")
        )


class PageFault(HvolabError):  # noqa: N818 - the name that architecture manuals give it
    """An access that faulted; ``fault`` is the record.

    It is worded when somebody reads it: most faults are expected, and a test makes very many.
    """

    def __init__(self, fault: Fault) -> None:
        Exception.__init__(self, fault)
        self.fault = fault
        self.rule = self.hint = ""

    @property
    def what(self) -> str:
        """The record in words."""
        return str(self.fault)

    @property
    def where(self) -> str:
        """The CPU."""
        return f"CPU {self.fault.cpu}"
