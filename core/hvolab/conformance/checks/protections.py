# SPDX-License-Identifier: GPL-2.0-only
"""Protections: PAGE_KERNEL can be used, PAGE_KERNEL_RO is read-only, each makes the kind of entry that HVO needs."""

from __future__ import annotations

from hvolab.arch import Access, EntryKind, PgprotRole, Target
from hvolab.conformance.capabilities import DIRTY_APART, LEAF_ABOVE_LAST, READ_ONLY_TAILS, SHADOW_STACK, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import bits_of, broken, kernel_leaves, kernel_tables, mmu_patterns, pgprot_of
from hvolab.conformance.subject import Scope, Subject
from hvolab.conformance.wording import deciding, refusing

checks = Checks()
_READ, _WRITE = int(Access.READ), int(Access.WRITE)


def _leaves(target: Target, *roles: PgprotRole) -> list[tuple[str, PgprotRole, int]]:
    """Return level, role and entry of the kernel's leaves with these protections."""
    return [leaf for leaf in kernel_leaves(target) if leaf[1] in roles]


@checks.add(Scope.TARGET, SOUND)
def pgprots_stand_where_they_are_used(subject: Subject) -> None:
    """Pages, leaves above the last level and tables with their protections are read as leaves and tables."""
    target = subject.target
    uses = [(*leaf, EntryKind.LEAF) for leaf in kernel_leaves(target)]
    uses += [(name, PgprotRole.TABLE, raw, EntryKind.TABLE) for name, raw in kernel_tables(target).items()]
    for name, role, raw, kind in uses:
        found = target.decode(name, raw).kind
        require(found is kind, f"{role.value} makes {raw:#x}, a {found.value}, not a {kind.value}", where=name)


@checks.add(Scope.TARGET, SOUND)
def permission_patterns_name_fields(subject: Subject) -> None:
    """Every bit of permissions and flags is a named field, of the same name in every form that has it."""
    target = subject.target
    kinds = (EntryKind.LEAF, EntryKind.TABLE)
    patterns = [(title, kind, pattern) for kind in kinds for title, pattern in mmu_patterns(target, kind)]
    patterns.append(("shadow stack", EntryKind.LEAF, target.mmu.shadow_stack))
    levels = {level.name for level in target.mode.levels}
    forms = [form for form in target.mode.format.forms if levels & set(form.levels)]
    for title, kind, pattern in patterns:
        if pattern is None:
            continue
        names = {}
        for form in forms:
            if form.kind is not kind:
                continue
            fields = [field for field in form.fields if field.mask & pattern.mask]
            covered = sum(field.mask & pattern.mask for field in fields)
            require(
                covered == pattern.mask,
                f"bits {pattern.mask & ~covered:#x} of the pattern of {title} are not fields of a {kind.value} "
                f"at {'/'.join(form.levels)}",
            )
            names[tuple(sorted(field.name for field in fields))] = form
        what = f"the pattern of {title} has several names: {' and '.join('/'.join(name) for name in names)}"
        require(len(names) == 1, what)


@checks.add(Scope.TARGET, SOUND)
def permissions_are_those_of_leaf_and_tables(subject: Subject) -> None:
    """An access is allowed if the leaf and every table above it allow it, and refused if one of them does not."""
    target = subject.target
    mmu = target.mmu
    tables = tuple(kernel_tables(target).values())
    leaves = [raw for _, _, raw in _leaves(target, PgprotRole.KERNEL, PgprotRole.KERNEL_RO)]
    walks = [(leaf, tables) for leaf in leaves]
    for permission in (mmu.read, mmu.write, mmu.execute):
        walks += [(broken(permission.leaf, leaf), tables) for leaf in leaves]
        walks += [
            (leaf, (*tables[:position], broken(permission.tables, tables[position]), *tables[position + 1 :]))
            for leaf in leaves
            for position in range(len(tables))
        ]
    for leaf, way in walks:
        granted = target.allowed(leaf, way)
        for access, permission in ((Access.READ, mmu.read), (Access.WRITE, mmu.write), (Access.EXECUTE, mmu.execute)):
            expected = permission.grants(leaf, way)
            result = "allowed" if granted & access else "refused"
            require(
                bool(granted & access) is expected,
                f"an access to {(access.name or '').lower()} is {result}: leaf {leaf:#x}, "
                f"tables {', '.join(f'{table:#x}' for table in way)}",
                hint="let allowed() return the accesses that the leaf and every table allow",
            )


@checks.add(Scope.TARGET, SOUND)
def page_kernel_can_be_read_and_written(subject: Subject) -> None:
    """Loads and stores through PAGE_KERNEL are allowed, in a page and in a leaf above the last level."""
    target = subject.target
    depths = {level.name: depth for depth, level in enumerate(target.mode.levels)}
    for name, role, raw in _leaves(target, PgprotRole.KERNEL, PgprotRole.KERNEL_LARGE):
        tables = dict([*kernel_tables(target).items()][: depths[name]])
        granted = target.allowed(raw, tuple(tables.values()))
        for need, what, title, permission in (
            (_READ, "read", "read", target.mmu.read),
            (_WRITE, "written", "write", target.mmu.write),
        ):
            words, names = ("", "") if granted & need else refusing(target, permission, (name, role, raw), tables)
            require(
                granted & need,
                f"{role.value} cannot be {what}: {target.describe(name, raw)}; {words}",
                hint=f"correct the fields of {names}, or MmuRules.{title}",
            )


@checks.add(Scope.TARGET, SOUND, READ_ONLY_TAILS)
def page_kernel_ro_is_read_only(subject: Subject) -> None:
    """A store through PAGE_KERNEL_RO is refused, a load is not."""
    target = subject.target
    for name, _, raw in _leaves(target, PgprotRole.KERNEL_RO):
        tables = kernel_tables(target)
        granted = target.allowed(raw, tuple(tables.values()))
        entry = target.describe(name, raw)
        words, names = refusing(target, target.mmu.read, (name, PgprotRole.KERNEL_RO, raw), tables)
        hint = f"correct the fields of {names}, or MmuRules.read"
        require(granted & _READ, f"PAGE_KERNEL_RO cannot be read: {entry}; {words}", hint=hint)
        require(
            not granted & _WRITE and target.tails_fault,
            f"PAGE_KERNEL_RO can be written: {entry}; MmuRules.write looks at {deciding(target, target.mmu.write)}",
            hint="correct the fields of PAGE_KERNEL_RO, or MmuRules.write; where the kernel defines no PAGE_KERNEL_RO, "
            "declare PAGE_KERNEL itself for tails",
        )


@checks.add(Scope.TARGET, SOUND)
def kernel_pages_need_no_flag_fault(subject: Subject) -> None:
    """Every leaf of the kernel has its accessed flag set, and a writable one its dirty flag: it takes no fault."""
    target = subject.target
    mmu = target.mmu
    for name, role, raw in kernel_leaves(target):
        writable = target.allowed(raw, ()) & _WRITE
        for title, flag in (("accessed", mmu.accessed), ("dirty", mmu.dirty if writable else None)):
            bits = "" if flag is None else target.mode.format.form(name, EntryKind.LEAF).name_bits(flag.mask)
            what = f"the {title} flag, {bits}, is clear in {role.value}: {target.describe(name, raw)}"
            hint = f"set it in {pgprot_of(target, role).name}, or correct MmuRules.{title}"
            require(flag is None or flag.accepts(raw), what, hint=hint)


@checks.add(Scope.TARGET, SOUND, SHADOW_STACK, DIRTY_APART)
def read_only_pages_are_not_shadow_stacks(subject: Subject) -> None:
    """No page of the kernel has the pattern of a shadow stack: read-only with Dirty set."""
    target = subject.target
    pattern = target.mmu.shadow_stack
    for name, role, raw in _leaves(target, PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
        what = f"{role.value} has the pattern of a shadow stack: {target.describe(name, raw)}"
        require(pattern is None or not pattern.accepts(raw), what, hint="clear the dirty flag of read-only pages")


@checks.add(Scope.TARGET, SOUND, LEAF_ABOVE_LAST)
def large_leaves_are_as_permissive_as_pages(subject: Subject) -> None:
    """A leaf above the last level allows the same accesses as PAGE_KERNEL: a split changes no permission."""
    target = subject.target
    ((_, _, page),) = _leaves(target, PgprotRole.KERNEL)
    looked_at = bits_of(pattern for _, pattern in mmu_patterns(target, EntryKind.LEAF))
    for name, role, raw in _leaves(target, PgprotRole.KERNEL_LARGE):
        bits = target.mode.format.form(name, EntryKind.LEAF).name_bits((raw ^ page) & looked_at)
        what = f"{role.value} allows other accesses than PAGE_KERNEL: {target.describe(name, raw)} differs in {bits}"
        require(target.allowed(raw, ()) == target.allowed(page, ()), what)
