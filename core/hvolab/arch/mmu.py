"""Rules by which the MMU allows or refuses an access."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from hvolab.arch.fault import Access, FaultKind
from hvolab.arch.fields import FieldValues, Match

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
    accessed, dirty        pattern of a leaf whose flag is set; ``None``: there is no such flag
    accessed_by, dirty_by  setter of the flag
    syndrome               function that returns the registers of a fault
    shadow_stack           pattern of a shadow-stack leaf, to which only special instructions can write; ``None``:
                           there is no such pattern
    table_accessed         pattern of a table entry whose accessed flag is set, as the walker sets it when it uses the
                           entry; ``None``: it does not
    reserved_faults        whether a reserved bit that is set makes a walk fault; else the walk ignores it
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

    def allowed(self, leaf: int, tables: tuple[int, ...]) -> int:
        """Return the accesses that ``leaf`` below ``tables`` allows, as bits of :class:`Access`."""
        granted = 0
        for access, permission in (
            (Access.READ, self.read),
            (Access.WRITE, self.write),
            (Access.EXECUTE, self.execute),
        ):
            if permission.grants(leaf, tables):
                granted |= access.value  # a plain int: every access tests it, and operations on an enum are slow
        return granted
