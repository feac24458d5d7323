# SPDX-License-Identifier: GPL-2.0-only
"""Rules by which the MMU allows or refuses an access, and the faults that it reports."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from hvolab.arch.entry import FieldValues, Match
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
    ALIGNMENT = "alignment"  #: the VA is not a multiple of the size, and the instruction requires that


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
    """An access of a CPU faults; `fault` is its record.

    Compare the entry in the message with the access: the description's `MmuRules` refuse it.
    """

    def __init__(self, fault: Fault) -> None:
        Exception.__init__(self, fault)  # the text is composed on use: tests catch very many faults that they expect
        self.fault = fault
        self.where, self.rule, self.hint = f"CPU {fault.cpu}", "", ""


#: (kind, access, VA, depth of the level counted from the last, 0) -> registers that report the fault
SyndromeFormat = Callable[[FaultKind, Access, int, int], FieldValues]


class UpdateRule(enum.Enum):
    """The setter of the accessed or dirty flag of a leaf."""

    WALKER = "the walker sets it"
    SOFTWARE = "an access with the flag clear faults"
    NOBODY = "the flag has no effect on accesses"


@dataclass(frozen=True)
class Permission:
    """Patterns of the entries of a walk that allows an access.

    leaf          pattern that the leaf must match; ``None``: any leaf
    tables        pattern that every table entry must match; ``None``: any table entries
    privilege     pattern that the leaf must match as well, for the page's owner (user or kernel), not for the access
    some_table    pattern that at least one table entry must match
    alternatives  other permissions: the access is allowed if one of them, or this one, allows it
    """

    leaf: Match | None = None
    tables: Match | None = None
    privilege: Match | None = None
    some_table: Match | None = None
    alternatives: tuple[Permission, ...] = ()

    def grants(self, leaf: int, tables: tuple[int, ...]) -> bool:
        """Return whether ``leaf`` below ``tables`` allows the access."""
        if any(alternative.grants(leaf, tables) for alternative in self.alternatives):
            return True
        if any(pattern is not None and not pattern.accepts(leaf) for pattern in (self.leaf, self.privilege)):
            return False
        if self.tables is not None and not all(self.tables.accepts(table) for table in tables):
            return False
        return self.some_table is None or any(self.some_table.accepts(table) for table in tables)


@dataclass(frozen=True)
class MmuRules:
    """Permissions of supervisor accesses, and the flags that the walker keeps.

    read, write, execute   permission of each access
    accessed, dirty        pattern of a leaf whose flag is set; ``None``: the architecture has none
    accessed_by, dirty_by  setter of the flag
    syndrome               function that returns the registers of a fault
    shadow_stack           pattern of a shadow-stack leaf, to which only special instructions can write; ``None``:
                           the architecture has none
    table_accessed         pattern of a table entry whose accessed flag is set, as the walker sets it when it uses the
                           entry; ``None``: it does not
    reserved_faults        whether a reserved bit that is set makes a walk fault; else the walk ignores it
    aligned_atomics        whether a compare-and-swap of a VA that is not aligned faults, whatever the walk finds
    """

    read: Permission
    write: Permission
    execute: Permission
    accessed: Match | None
    accessed_by: UpdateRule
    dirty: Match | None
    dirty_by: UpdateRule
    syndrome: SyndromeFormat
    shadow_stack: Match | None = None
    table_accessed: Match | None = None
    reserved_faults: bool = True
    aligned_atomics: bool = False

    def allowed(self, leaf: int, tables: tuple[int, ...]) -> int:
        """Return the accesses that ``leaf`` below ``tables`` allows, as bits of :class:`Access`."""
        granted = 0
        for access, permission in self.permissions:
            if permission.grants(leaf, tables):
                granted |= access.value  # a plain int: every access tests it, and operations on an enum are slow
        return granted

    @property
    def permissions(self) -> tuple[tuple[Access, Permission], ...]:
        """The permission of each access."""
        return (Access.READ, self.read), (Access.WRITE, self.write), (Access.EXECUTE, self.execute)
