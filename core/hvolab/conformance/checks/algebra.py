"""The algebra of protections that the kernel demands of every architecture, under the kernel's names.

How an architecture makes an entry writable, young or dirty follows from the patterns that it declares for the MMU.
Kernel: pte_basic_tests(), pmd_basic_tests(), pmd_leaf_tests() and others in mm/debug_vm_pgtable.c, v6.12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hvolab.arch import EntryKind, Match, PgprotRole, Target
from hvolab.conformance.capabilities import (
    ACCESSED,
    DIRTY,
    LEAF_ABOVE_LAST,
    SOUND,
    WRITE_PERMISSION,
    leaf_levels,
)
from hvolab.conformance.check import Capability, Checks, require
from hvolab.conformance.subject import Scope, Subject

checks = Checks()
_NEVER = Match(0, 1)


@dataclass(frozen=True)
class Flag:
    """A property of a leaf, with the kernel's names: ``pte_write``, ``pte_mkwrite``, ``pte_wrprotect``."""

    test: str
    make: str
    drop: str
    pattern: Match

    def holds(self, raw: int) -> bool:
        """Whether ``raw`` has it."""
        return bool(self.pattern.accepts(raw))

    def made(self, raw: int) -> int:
        """``raw`` with it."""
        return raw & ~self.pattern.mask | self.pattern.value

    def dropped(self, raw: int) -> int:
        """``raw`` without it."""
        return raw & ~self.pattern.mask | ~self.pattern.value & self.pattern.mask


def _flags(target: Target) -> tuple[Flag, Flag, Flag]:
    mmu = target.mmu
    return (
        Flag("write", "mkwrite", "wrprotect", mmu.write.leaf or _NEVER),
        Flag("dirty", "mkdirty", "mkclean", mmu.dirty or _NEVER),
        Flag("young", "mkyoung", "mkold", mmu.accessed or _NEVER),
    )


def _entries(target: Target, *, above: bool) -> Iterator[tuple[str, str, int]]:
    """Prefix of the kernel's names, level and entry of the leaves that HVO meets."""
    if above:
        for name in leaf_levels(target):
            yield (
                "pmd" if name == target.mode.levels[-2].name else "pud",
                name,
                target.leaf(name, 0, PgprotRole.KERNEL_LARGE),
            )
        return
    for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
        yield "pte", target.mode.last.name, target.leaf(target.mode.last.name, 0, role)


def _basic(flag: Flag, target: Target, prefix: str, level: str, raw: int) -> None:
    """What is made is there, what is dropped is not, and the entry leads where it led."""
    for first, second, expected, word in (
        (flag.dropped, flag.made, True, f"{prefix}_{flag.test}({prefix}_{flag.make}({prefix}_{flag.drop}(e)))"),
        (flag.made, flag.dropped, False, f"!{prefix}_{flag.test}({prefix}_{flag.drop}({prefix}_{flag.make}(e)))"),
    ):
        after = second(first(raw))
        told = f"{word} does not hold for e = {target.describe(level, raw)}: it is {after:#x}"
        require(flag.holds(after) is expected, told, where=target)
        _same_way(target, level, raw, after, word)


def _same_way(target: Target, level: str, raw: int, after: int, word: str) -> None:
    before, entry = target.decode(level, raw), target.decode(level, after)
    require(
        (entry.kind, entry.pfn) == (before.kind, before.pfn),
        f"{word} turned {before} into {entry}",
        where=target,
    )


def _add(flag_number: int, need: Capability, name: str, text: str, *, above: bool) -> None:
    needs = (SOUND, LEAF_ABOVE_LAST, need) if above else (SOUND, need)

    def proof(subject: Subject) -> None:
        flag = _flags(subject.target)[flag_number]
        for prefix, level, raw in _entries(subject.target, above=above):
            _basic(flag, subject.target, prefix, level, raw)

    proof.__name__ = name
    proof.__doc__ = text
    checks.add(Scope.TARGET, *needs)(proof)


for _prefix, _above in (("pte", False), ("pmd", True)):
    _where = "a leaf above the last level" if _above else "a page's entry"
    for _number, _need, _make, _drop in (
        (0, WRITE_PERMISSION, "mkwrite", "wrprotect"),
        (1, DIRTY, "mkdirty", "mkclean"),
        (2, ACCESSED, "mkyoung", "mkold"),
    ):
        _add(
            _number,
            _need,
            f"{_prefix}_{_make}_and_{_prefix}_{_drop}",
            f"{_prefix}_{_make}() and {_prefix}_{_drop}() undo each other in {_where}, and lead where they led.",
            above=_above,
        )


@checks.add(Scope.TARGET, SOUND)
def write_dirty_and_young_are_apart(subject: Subject) -> None:
    """Making or dropping one of write, dirty and young leaves the other two as they were.

    Kernel: pte_basic_tests() demands of pte_wrprotect() that it keeps what pte_mkdirty() and pte_mkclean() said.
    """
    target = subject.target
    flags = [flag for flag in _flags(target) if flag.pattern is not _NEVER]
    for above in (False, True):
        for prefix, level, raw in _entries(target, above=above):
            for state in _states(flags, raw):
                _others_stay(target, flags, f"{prefix}_", level, state)


def _states(flags: list[Flag], raw: int) -> list[int]:
    """``raw`` with every combination of the flags."""
    states = [raw]
    for flag in flags:
        states = [change(state) for state in states for change in (flag.made, flag.dropped)]
    return states


def _others_stay(target: Target, flags: list[Flag], prefix: str, level: str, state: int) -> None:
    for flag in flags:
        changes: tuple[tuple[str, Callable[[int], int]], ...] = ((flag.make, flag.made), (flag.drop, flag.dropped))
        for word, change in changes:
            for other in flags:
                require(
                    other is flag or other.holds(change(state)) is other.holds(state),
                    f"{prefix}{word}() changes {prefix}{other.test}() of {target.describe(level, state)}",
                    where=target,
                    hint="the patterns of write, dirty and accessed share no bits",
                )


@checks.add(Scope.TARGET, SOUND)
def leaf_and_table_predicates(subject: Subject) -> None:
    """pmd_leaf(), pmd_bad() and pmd_none() tell leaves, tables and empty entries apart, whatever their flags are.

    Kernel: pmd_leaf_tests(), pmd_populate_tests(), pmd_clear_tests() in mm/debug_vm_pgtable.c, v6.12.
    """
    target = subject.target
    entry_format = target.mode.format
    flags = [flag for flag in _flags(target) if flag.pattern is not _NEVER]
    for level in target.mode.levels[:-1]:
        table = target.table(level.name, 1)
        kind = entry_format.classify(level.name, table)
        require(kind is EntryKind.TABLE, f"{level.name}_leaf() or _bad(): {table:#x} is a {kind.value}", where=target)
        empty = entry_format.classify(level.name, entry_format.empty(level.name))
        require(empty is EntryKind.NONE, f"{level.name}_none(): an empty entry is a {empty.value}", where=target)
    for above in (False, True):
        for _, name, raw in _entries(target, above=above):
            for state in _states(flags, raw):
                kind = entry_format.classify(name, state)
                require(kind is EntryKind.LEAF, f"{name}_leaf(): {state:#x} is a {kind.value}", where=target)
