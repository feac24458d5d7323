"""Protections: PAGE_KERNEL can be used, PAGE_KERNEL_RO is read-only, each stands where HVO puts it."""

from __future__ import annotations

from hvolab.arch import Access, EntryKind, Match, PgprotRole, Target
from hvolab.conformance.capabilities import (
    DIRTY_APART,
    LEAF_ABOVE_LAST,
    READ_ONLY_TAILS,
    SHADOW_STACK,
    SOUND,
    leaf_levels,
    table_levels,
)
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject

checks = Checks()
_READ, _WRITE = int(Access.READ), int(Access.WRITE)


def _tables(target: Target) -> tuple[int, ...]:
    """The table entries on the way to a page, as the kernel makes them."""
    return tuple(target.table(name, 0) for name in table_levels(target))


@checks.add(Scope.TARGET, SOUND)
def pgprots_stand_where_they_are_used(subject: Subject) -> None:
    """Pages, leaves above the last level and tables with their protections are read as leaves and tables."""
    target = subject.target
    last = target.mode.last.name
    uses = [(last, role, EntryKind.LEAF) for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO)]
    uses += [(name, PgprotRole.KERNEL_LARGE, EntryKind.LEAF) for name in leaf_levels(target)]
    uses += [(level.name, PgprotRole.TABLE, EntryKind.TABLE) for level in target.mode.levels[:-1]]
    for name, role, kind in uses:
        raw = target.table(name, 0) if kind is EntryKind.TABLE else target.leaf(name, 0, role)
        found = target.decode(name, raw).kind
        require(found is kind, f"{role.value} makes {raw:#x}, a {found.value}, not a {kind.value}", where=name)


@checks.add(Scope.TARGET, SOUND)
def page_kernel_can_be_read_and_written(subject: Subject) -> None:
    """Loads and stores through PAGE_KERNEL are allowed, in a page and in a leaf above the last level."""
    target = subject.target
    names = [target.mode.last.name, *leaf_levels(target)]
    for name in names:
        role = PgprotRole.KERNEL if name == target.mode.last.name else PgprotRole.KERNEL_LARGE
        raw = target.leaf(name, 0, role)
        granted = target.allowed(raw, _tables(target)[: _depth(target, name)])
        for need, what in ((_READ, "read"), (_WRITE, "written")):
            require(granted & need, f"{role.value} cannot be {what}: {target.describe(name, raw)}", where=subject)


@checks.add(Scope.TARGET, SOUND)
def kernel_pages_need_no_flag_fault(subject: Subject) -> None:
    """Every leaf of the kernel has its accessed flag set, and a writable one its dirty flag: it takes no fault."""
    target = subject.target
    mmu, last = target.mmu, target.mode.last.name
    uses = [(last, PgprotRole.KERNEL), (last, PgprotRole.KERNEL_RO)]
    uses += [(name, PgprotRole.KERNEL_LARGE) for name in leaf_levels(target)]
    for name, role in uses:
        raw = target.leaf(name, 0, role)
        writable = target.allowed(raw, ()) & _WRITE
        for title, flag in (("accessed", mmu.accessed), ("dirty", mmu.dirty if writable else None)):
            require(
                flag is None or flag.accepts(raw),
                f"the {title} flag is clear in {role.value}: {target.describe(name, raw)}",
                where=subject,
                hint=f"set it in the pgprot, or correct MmuRules.{title}",
            )


@checks.add(Scope.TARGET, SOUND, READ_ONLY_TAILS)
def page_kernel_ro_is_read_only(subject: Subject) -> None:
    """A store through PAGE_KERNEL_RO is refused, a load is not."""
    target = subject.target
    raw = target.leaf(target.mode.last.name, 0, PgprotRole.KERNEL_RO)
    granted = target.allowed(raw, _tables(target))
    told = target.describe(target.mode.last.name, raw)
    require(granted & _READ, f"PAGE_KERNEL_RO cannot be read: {told}", where=subject)
    require(
        not granted & _WRITE and target.tails_fault,
        f"PAGE_KERNEL_RO can be written: {told}",
        where=subject,
        hint="correct its fields; where the kernel defines none, declare PAGE_KERNEL itself for tails",
    )


@checks.add(Scope.TARGET, SOUND, SHADOW_STACK, DIRTY_APART)
def read_only_pages_are_no_shadow_stack(subject: Subject) -> None:
    """No leaf of the kernel has the pattern of a shadow stack: read-only with Dirty set."""
    target = subject.target
    pattern = target.mmu.shadow_stack
    last = target.mode.last.name
    for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
        raw = target.leaf(last, 0, role)
        require(
            pattern is None or not pattern.accepts(raw),
            f"{role.value} is taken for a shadow stack: {target.describe(last, raw)}",
            where=subject,
            hint="clear the dirty flag in what is read-only",
        )


@checks.add(Scope.TARGET, SOUND)
def permissions_are_those_of_leaf_and_tables(subject: Subject) -> None:
    """An access is allowed where the leaf and every table on the way allow it, and not where one alone does."""
    target = subject.target
    last, mmu = target.mode.last.name, target.mmu
    tables = _tables(target)
    leaves = [target.leaf(last, 0, role) for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO)]
    walks = [(leaf, tables) for leaf in leaves]
    for permission in (mmu.read, mmu.write, mmu.execute):
        walks += [(_against(permission.leaf, leaf), tables) for leaf in leaves]
        walks += [
            (leaf, (*tables[:position], _against(permission.tables, tables[position]), *tables[position + 1 :]))
            for leaf in leaves
            for position in range(len(tables))
        ]
    for leaf, way in walks:
        granted = target.allowed(leaf, way)
        for access, permission in ((Access.READ, mmu.read), (Access.WRITE, mmu.write), (Access.EXECUTE, mmu.execute)):
            expected = permission.grants(leaf, way)
            answer = "allowed" if granted & access else "refused"
            require(
                bool(granted & access) is expected,
                f"an access to {(access.name or '').lower()} is {answer}: leaf {leaf:#x}, "
                f"tables {', '.join(f'{table:#x}' for table in way)}",
                where=subject,
                hint="allowed() is what the leaf allows and every table does",
            )


@checks.add(Scope.TARGET, SOUND)
def permission_patterns_name_fields(subject: Subject) -> None:
    """Every bit that permissions and flags look at is a named field, of the same name in every form that has it."""
    target = subject.target
    mmu = target.mmu
    patterns: list[tuple[str, EntryKind, Match | None]] = [
        ("accessed", EntryKind.LEAF, mmu.accessed),
        ("dirty", EntryKind.LEAF, mmu.dirty),
        ("shadow stack", EntryKind.LEAF, mmu.shadow_stack),
        ("accessed", EntryKind.TABLE, mmu.table_accessed),
    ]
    for title, whole in (("read", mmu.read), ("write", mmu.write), ("execute", mmu.execute)):
        for permission in (whole, *whole.alternatives):
            patterns += [(title, EntryKind.LEAF, pattern) for pattern in (permission.leaf, permission.privilege)]
            patterns += [(title, EntryKind.TABLE, pattern) for pattern in (permission.tables, permission.some_table)]
    levels = {level.name for level in target.mode.levels}
    for title, kind, pattern in patterns:
        if pattern is None:
            continue
        names = {}
        for form in target.mode.format.forms:
            if form.kind is not kind or not levels & set(form.levels):
                continue
            fields = [field for field in form.fields if field.mask & pattern.mask]
            covered = sum(field.mask & pattern.mask for field in fields)
            require(
                covered == pattern.mask,
                f"bits {pattern.mask & ~covered:#x} of the pattern of {title} are no field of a {kind.value} "
                f"at {'/'.join(form.levels)}",
                where=subject,
            )
            names[tuple(sorted(field.name for field in fields))] = form
        require(
            len(names) == 1,
            f"the pattern of {title} is {' here and '.join('/'.join(name) for name in names)} there",
            where=subject,
        )


@checks.add(Scope.TARGET, SOUND, LEAF_ABOVE_LAST)
def large_leaves_are_as_permissive_as_pages(subject: Subject) -> None:
    """A leaf above the last level allows what PAGE_KERNEL allows: a split changes no permission."""
    target = subject.target
    page = target.allowed(target.leaf(target.mode.last.name, 0, PgprotRole.KERNEL), ())
    for name in leaf_levels(target):
        raw = target.leaf(name, 0, PgprotRole.KERNEL_LARGE)
        require(
            target.allowed(raw, ()) == page,
            f"{target.describe(name, raw)} allows other accesses than a page of PAGE_KERNEL",
            where=subject,
        )


def _against(pattern: Match | None, raw: int) -> int:
    """``raw`` with the pattern broken."""
    return raw if pattern is None else raw & ~pattern.mask | ~pattern.value & pattern.mask


def _depth(target: Target, name: str) -> int:
    return [level.name for level in target.mode.levels].index(name)
