# SPDX-License-Identifier: GPL-2.0-only
"""Entries: every bit has one meaning, kinds are never confused, and encoding and decoding undo each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import Entry, EntryForm, EntryKind, Level, PagingMode, PgprotRole, Target, set_bits
from hvolab.conformance.capabilities import SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import bits_of, forms_at, kind_mask
from hvolab.conformance.samples import is_legal, legal_entries, repeatable, values_of
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError

checks = Checks()
#: Most bits that distinguish kinds, whose combinations are all tried. No format that a walker can read has more.
_MOST_DECIDING_BITS = 14


def _forms(mode: PagingMode) -> Iterator[tuple[Level, EntryForm]]:
    """Yield every form at each of its levels."""
    for level in mode.levels:
        for form in forms_at(mode, level.name):
            yield level, form


def _listed(bits: Iterable[int]) -> str:
    return ", ".join(map(str, bits))


def _name(form: EntryForm, level: Level) -> str:
    return f"a {form.kind.value} at {level.name}"


@checks.add(Scope.FORMAT, SOUND)
def every_bit_has_one_meaning(subject: Subject) -> None:
    """No bit of an entry belongs to two fields, to two parts of the address, or to a field and the address."""
    mode = subject.target.mode
    for level, form in _forms(mode):
        owners: dict[int, str] = {}
        parts = [(f"PA bits from {part.physical}", part.mask) for part in form.address]
        for title, mask in [*parts, *((field.name, field.mask) for field in form.fields)]:
            what = f"{title} of {_name(form, level)} is beyond {mode.format.entry_bits} bits"
            require(mask < 1 << mode.format.entry_bits, what)
            for bit in set_bits(mask):
                what = f"bit {bit} of {_name(form, level)} is both {owners.get(bit)} and {title}"
                require(bit not in owners, what)
                owners[bit] = title
        names = [field.name for field in form.fields]
        require(len(set(names)) == len(names), f"two fields of {_name(form, level)} have one name")


@checks.add(Scope.FORMAT, SOUND)
def addresses_fill_the_pa_width(subject: Subject) -> None:
    """The address in an entry holds every PA bit from the size that it maps up to the PA's width, each once."""
    mode = subject.target.mode
    # a field that a feature adds takes its bits from the address
    taken = sum(field.width for name in subject.features for field in subject.architecture.feature(name).adds)
    for level, form in _forms(mode):
        physical = [bit for part in form.address for bit in set_bits(part.physical_mask)]
        require(len(set(physical)) == len(physical), f"{_name(form, level)} has a PA bit twice")
        lowest, allowed, hint = _lowest_bits(mode, level, form)
        require(
            min(physical, default=-1) in allowed,
            f"the address of {_name(form, level)} begins with PA bit {min(physical, default=-1)}, not {lowest}",
            hint=hint,
        )
        beyond = sorted(bit for bit in physical if bit >= mode.pa_bits)
        require(not beyond, f"{_name(form, level)} holds PA bits {_listed(beyond)} of {mode.pa_bits}")
        missing = sorted(set(range(min(physical), mode.pa_bits)) - set(physical))
        what = f"{_name(form, level)} has no place for PA bits {_listed(missing)} of {mode.pa_bits}"
        require(len(missing) <= taken, what)


def _lowest_bits(mode: PagingMode, level: Level, form: EntryForm) -> tuple[int, set[int], str]:
    """Return the lowest PA bit that the address of a form should have, all that it may have, and a hint.

    A leaf has those from the size on that it maps, or several entries that map one huge page. A table begins a page;
    one that is smaller may begin inside a page, at a multiple of its size.
    """
    if form.kind is EntryKind.LEAF:
        runs = [count.bit_length() - 1 for name, count in mode.huge_page_levels if name == level.name]
        hint = "declare an address part with the PA bits from n on in an entry that maps 2 ** n bytes"
        return level.shift, {level.shift, *(level.shift + run for run in runs)}, hint
    below = mode.levels[mode.levels.index(level) + 1]
    own = below.table_bytes.bit_length() - 1
    sizes = f"a table of {below.name} has {below.table_bytes:#x} bytes, a page {mode.page_size:#x}"
    hint = f"{sizes}: declare the PA bits from {mode.page_shift} on, or from {own} on if tables may begin inside a page"
    return mode.page_shift, {*range(min(own, mode.page_shift), mode.page_shift + 1)}, hint


@checks.add(Scope.FORMAT, SOUND)
def table_leaf_and_none_are_never_confused(subject: Subject) -> None:
    """Every combination of the bits that distinguish kinds is one of none, a table, a leaf, or illegal."""
    mode = subject.target.mode
    for level in mode.levels:
        _each_kind(subject.target, level)
        empty = mode.format.empty(level.name)
        kind = mode.format.classify(level.name, empty)
        require(kind is EntryKind.NONE, f"an empty entry at {level.name} is a {kind.value}")


def _each_kind(target: Target, level: Level) -> None:
    """Try all combinations of the bits that distinguish kinds at a level."""
    mode = target.mode
    forms = forms_at(mode, level.name)
    for form in forms:
        address = set_bits(bits_of(form.recognize) & form.address_mask)
        what = f"address bits {_listed(address)} distinguish {_name(form, level)} from others"
        require(not address, what)
    bits = set_bits(kind_mask(target, level.name))
    require(len(bits) <= _MOST_DECIDING_BITS, f"{len(bits)} bits distinguish kinds at {level.name}")
    for number in range(1 << len(bits)):
        raw = sum(1 << bit for position, bit in enumerate(bits) if number >> position & 1)
        _one_kind(target, level, forms, raw)


def _one_kind(target: Target, level: Level, forms: list[EntryForm], raw: int) -> None:
    entry_format = target.mode.format
    valid = bool(entry_format.is_valid(level.name, raw))
    matching = [form for form in forms if form.matches(raw)]
    kinds = sorted({form.kind.value for form in matching})
    name = f"{raw:#x} at {level.name}"
    what = f"{name} is not valid, but has the pattern of a {'/'.join(kinds)}"
    require(valid or not matching, what, hint="include the pattern of a valid entry in that of the form")
    require(len(kinds) < 2, f"{name} has the patterns of both a {' and a '.join(kinds)}")
    kind = entry_format.classify(level.name, raw)
    expected = matching[0].kind if matching else EntryKind.ILLEGAL if valid else EntryKind.NONE
    require(kind is expected, f"{name} is a {kind.value}, by its patterns {expected.value}")
    if expected is EntryKind.ILLEGAL:
        require(_refused(target, level, raw), f"{name} has no form, but is not refused")


@checks.add(Scope.FORMAT, SOUND)
def every_reserved_encoding_is_refused(subject: Subject) -> None:
    """An entry that sets a reserved bit, breaks a rule of its form or lacks a constant value of it is refused."""
    target = subject.target
    mode, bits = target.mode, target.mode.format.entry_bits
    for level, form in _forms(mode):
        legal = legal_entries(mode.format, level.name, form)
        require(legal, f"no entry has the form of {_name(form, level)} without breaking its rules")
        wrong = [(1 << bit, 1 << bit, f"bit {bit} is reserved") for bit in set_bits(form.reserved_mask(bits))]
        wrong += [(rule.broken_by.mask, rule.broken_by.value, rule.text) for rule in form.rules]
        wrong += [
            (form.by_name[name].mask, (value ^ 1) << form.by_name[name].low, f"{name} is {value} in every {form}")
            for name, value in form.constant
        ]
        for raw in legal:
            for mask, value, rule in wrong:
                entry = raw & ~mask | value
                if mode.format.recognize(level.name, entry) is form:  # else the bits belong to another form
                    require(_refused(target, level, entry), f"{entry:#x} is not refused: {rule}")


def _refused(target: Target, level: Level, raw: int) -> bool:
    try:
        target.decode(level.name, raw)
    except EncodingError:
        return True
    return False


@checks.add(Scope.FORMAT, SOUND)
def decoding_undoes_encoding(subject: Subject) -> None:
    """An encoded entry decodes to the same values: each value of each field, each bit of the address."""
    target = subject.target
    for level in target.mode.levels:
        for form in forms_at(target.mode, level.name):
            for base in legal_entries(target.mode.format, level.name, form):
                _each_field(target, level, form, base)
                _each_address_bit(target, level, form, base)


def _each_field(target: Target, level: Level, form: EntryForm, base: int) -> None:
    entry_format, shift = target.mode.format, target.mode.page_shift
    for field in form.fields:
        for value in values_of(field):
            raw = base & ~field.mask | value << field.low
            if not is_legal(entry_format, level.name, form, raw):
                continue  # the value makes it another form, or breaks a rule: another check covers that
            decoded = entry_format.decode(level.name, raw, shift)
            read = dict(decoded.fields).get(field.name)
            name = f"{field} of a {form.kind.value} at {level.name}"
            require(read == value, f"{name} was set to {value:#x} and reads {read}")
            if field.mask & form.address_mask:
                continue  # covered by every_bit_has_one_meaning
            again = _encoded(target, level, form, _address(target, decoded), decoded.fields)
            require(again == raw, f"{name}: {raw:#x} decodes to values that encode as {again:#x}")


def _address(target: Target, entry: Entry) -> int:
    """Return the output PA of a decoded entry."""
    return ((entry.pfn or 0) << target.mode.page_shift) + entry.offset


def _encoded(target: Target, level: Level, form: EntryForm, pa: int, fields: tuple[tuple[str, int], ...]) -> int:
    """Return the entry of `form`: the format's own encode() takes the first form of the kind, and whole pages."""
    pfn, offset = divmod(pa, target.mode.page_size)
    if target.mode.format.form(level.name, form.kind) is form and not offset:
        return target.mode.format.encode(level.name, form.kind, pfn, fields, target.mode.page_shift)
    return form.put_address(pa) | form.put_fields(fields)


def _each_address_bit(target: Target, level: Level, form: EntryForm, base: int) -> None:
    for pa in (*(1 << bit for bit in set_bits(form.physical_mask)), form.physical_mask, 0):
        decoded = target.mode.format.decode(level.name, form.put_address(pa) | base, target.mode.page_shift)
        name = f"PA {pa:#x} in a {form.kind.value} at {level.name}"
        read = _address(target, decoded)
        require(read == pa, f"{name} reads as PA {read:#x}")
        require(decoded.kind is form.kind, f"{name} reads as a {decoded.kind.value}")


@checks.add(Scope.FORMAT, SOUND)
def encoding_undoes_decoding(subject: Subject) -> None:
    """Any bits are no entry, are refused, or decode to values that encode to the same bits."""
    target = subject.target
    entry_format, shift = target.mode.format, target.mode.page_shift
    names = [level.name for level in target.mode.levels]

    @repeatable
    @given(st.sampled_from(names), st.integers(0, (1 << entry_format.entry_bits) - 1), st.booleans(), st.data())
    def any_bits(name: str, noise: int, thin: bool, data: st.DataObject) -> None:  # noqa: FBT001 - drawn
        """Decode and encode drawn bits at a level; `thin`: without bits that are unknown to the form."""
        form = data.draw(st.sampled_from(forms_at(target.mode, name)))
        raw = noise
        if thin:  # else hardly any bits are legal
            known = ~form.reserved_mask(entry_format.entry_bits)
            match = data.draw(st.sampled_from(form.recognize))
            constant = form.put_fields(())
            decided = match.mask | sum(form.by_name[name].mask for name, _ in form.constant)
            raw = noise & known & ~decided | match.value | constant
        try:
            entry = entry_format.decode(name, raw, shift)
        except EncodingError:
            return
        if entry.kind is EntryKind.NONE:
            return
        found = entry_format.recognize(name, raw)
        assert found is not None  # noqa: S101 - it was decoded
        again = _encoded(target, target.mode.level(name), found, _address(target, entry), entry.fields)
        require(again == raw, f"{raw:#x} at {name} decodes to {entry}, which encodes as {again:#x}")

    any_bits()


@checks.add(Scope.TARGET, SOUND)
def pfn_pte_and_pte_pfn(subject: Subject) -> None:
    """pte_pfn(pfn_pte(pfn, prot)) is pfn, singly and in runs, for every bit of a PFN.

    Kernel: pfn_pte(), pte_pfn(); mm/debug_vm_pgtable.c, v6.12.
    """
    target = subject.target
    shift, name = target.mode.page_shift, target.mode.last.name
    physical = target.page_form.physical_mask
    pfns = [0, physical >> shift, *(1 << bit - shift for bit in set_bits(physical) if bit >= shift)]
    for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
        raws = target.page_entries(np.array(pfns, dtype=np.int64), role)
        require(target.page_frames(raws).tolist() == pfns, f"a run of {role.value} entries loses PFNs")
        for pfn, raw in zip(pfns, raws.tolist(), strict=True):
            single = target.leaf(name, pfn, role)
            require(single == raw, f"PFN {pfn:#x} is {single:#x} singly and {raw:#x} in a run")
            read = target.decode(name, raw).pfn
            require(read == pfn, f"PFN {pfn:#x} with {role.value} reads as PFN {read}")
