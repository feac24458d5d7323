"""Faults: the architectural record of an access that the MMU refused."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hvolab.arch.fields import FieldValues
from hvolab.errors import HvolabError


class Access(enum.IntFlag):
    """A kind of access; the values are bits, so that permissions can be masked."""

    READ = 1
    WRITE = 2
    EXECUTE = 4
    ATOMIC = READ | WRITE  #: a compare-and-swap


class FaultKind(enum.Enum):
    """The reason why the MMU refuses an access."""

    TRANSLATION = "translation"  #: an entry of the walk is not valid
    PERMISSION = "permission"  #: the mapping does not allow the access
    ACCESS_FLAG = "access flag"  #: the accessed flag is clear and software has to set it
    DIRTY_FLAG = "dirty flag"  #: the dirty flag is clear and software has to set it
    RESERVED = "reserved bit"  #: an entry of the walk is not legal
    ABSENT = "absent memory"  #: the walk or the access reaches a PA without memory


@dataclass(frozen=True)
class Fault:
    """The record of one fault.

    kind      reason
    access    kind of access
    va        the accessed VA
    level     name of the level at which the walk ended
    raw       the last entry of the walk
    cpu       index of the CPU
    syndrome  the architecture's registers that describe the fault, by name
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
    """An access of a CPU faults; ``fault`` is the record.

    The text is composed on use: tests catch very many faults that they expect.
    """

    def __init__(self, fault: Fault) -> None:
        Exception.__init__(self, fault)
        self.fault = fault
        self.rule = self.hint = ""

    @property
    def what(self) -> str:
        """The record as text."""
        return str(self.fault)

    @property
    def where(self) -> str:
        """The CPU."""
        return f"CPU {self.fault.cpu}"
