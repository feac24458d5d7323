"""Encoding and decoding undo each other: over every field and every address bit, and for whatever a property tries."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from hvolab.arch import EntryForm, EntryKind, Level, PgprotRole, Target
from hvolab.conformance.capabilities import SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.legal import legal_entries, values_of
from hvolab.conformance.property import always_alike
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError

checks = Checks()


@checks.add(Scope.FORMAT, SOUND)
def decoding_undoes_encoding(subject: Subject) -> None:
    """What is encoded is read back: each value of each field, each bit of the address."""
    target = subject.target
    for level in target.mode.levels:
        for form in target.mode.format.forms:
            if level.name in form.levels:
                for base in legal_entries(target.mode.format, level.name, form):
                    _each_field(subject, target, level, form, base)
                    _each_address_bit(subject, target, level, form, base)


def _each_field(subject: Subject, target: Target, level: Level, form: EntryForm, base: int) -> None:
    entry_format, shift = target.mode.format, target.mode.page_shift
    for field in form.fields:
        for value in values_of(field):
            raw = base & ~field.mask | value << field.low
            if entry_format.recognize(level.name, raw) is not form or entry_format.broken_rules(level.name, raw):
                continue  # the value makes it another form, or breaks a rule: that is checked elsewhere
            decoded = entry_format.decode(level.name, raw, shift)
            read = dict(decoded.fields).get(field.name)
            told = f"{field} of a {form.kind.value} at {level.name}"
            require(read == value, f"{told} was set to {value:#x} and reads {read}", where=subject)
            if field.mask & form.address_mask:
                continue  # told by every_bit_has_one_meaning
            again = _encoded(target, level, form, decoded.pfn or 0, decoded.fields)
            require(again == raw, f"{told}: {raw:#x} decodes to what encodes as {again:#x}", where=subject)


def _encoded(target: Target, level: Level, form: EntryForm, pfn: int, fields: tuple[tuple[str, int], ...]) -> int:
    """The entry of ``form``: the format's own encode() takes the first form of the kind, which may be another."""
    if target.mode.format.form(level.name, form.kind) is form:
        return target.mode.format.encode(level.name, form.kind, pfn, fields, target.mode.page_shift)
    return form.put_address(pfn << target.mode.page_shift) | form.put_fields(fields)


def _each_address_bit(subject: Subject, target: Target, level: Level, form: EntryForm, base: int) -> None:
    shift = target.mode.page_shift
    bits = [bit for bit in range(form.physical_mask.bit_length()) if form.physical_mask >> bit & 1]
    for pa in (*(1 << bit for bit in bits), form.physical_mask, 0):
        raw = form.put_address(pa) | base
        decoded = target.mode.format.decode(level.name, raw, shift)
        told = f"PA {pa:#x} in a {form.kind.value} at {level.name}"
        require(decoded.pfn == pa >> shift, f"{told} reads as PFN {decoded.pfn}", where=subject)
        require(decoded.kind is form.kind, f"{told} reads as a {decoded.kind.value}", where=subject)


@checks.add(Scope.FORMAT, SOUND)
def encoding_undoes_decoding(subject: Subject) -> None:
    """Any bits are none, refused, or decode to what encodes to the same bits."""
    target = subject.target
    entry_format, shift = target.mode.format, target.mode.page_shift
    names = [level.name for level in target.mode.levels]

    @always_alike
    @given(st.sampled_from(names), st.integers(0, (1 << entry_format.entry_bits) - 1), st.booleans(), st.data())
    def any_bits(name: str, noise: int, thin: bool, data: st.DataObject) -> None:  # noqa: FBT001 - drawn
        """Draw bits of an entry at a level, ``thin``: with nothing outside of what a form knows."""
        level = target.mode.level(name)
        forms = [form for form in entry_format.forms if name in form.levels]
        form = data.draw(st.sampled_from(forms))
        raw = noise
        if thin:  # else hardly any bits are legal
            known = form.address_mask
            for field in form.fields:
                known |= field.mask
            match = data.draw(st.sampled_from(form.recognize))
            raw = noise & known & ~match.mask | match.value
        try:
            entry = entry_format.decode(name, raw, shift)
        except EncodingError:
            return
        if entry.kind is EntryKind.NONE:
            return
        found = entry_format.recognize(name, raw)
        assume(found is not None)
        assert found is not None  # noqa: S101 - for the type checker: it was assumed
        again = _encoded(target, level, found, entry.pfn or 0, entry.fields)
        require(again == raw, f"{raw:#x} at {name} decodes to what encodes as {again:#x}: {entry}", where=subject)

    any_bits()


@checks.add(Scope.TARGET, SOUND)
def pfn_pte_and_pte_pfn(subject: Subject) -> None:
    """pte_pfn(pfn_pte(pfn, prot)) is pfn, singly and in runs, for every bit of a PFN.

    Kernel: pfn_pte(), pte_pfn(); mm/debug_vm_pgtable.c, v6.12.
    """
    target = subject.target
    shift, name = target.mode.page_shift, target.mode.last.name
    physical = target.page_form.physical_mask
    pfns = [0, physical >> shift, *(1 << bit - shift for bit in range(shift, 64) if physical >> bit & 1)]
    for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
        raws = target.page_entries(np.array(pfns, dtype=np.int64), role)
        require(target.page_frames(raws).tolist() == pfns, f"a run of {role.value} entries loses PFNs", where=subject)
        for pfn, raw in zip(pfns, raws.tolist(), strict=True):
            single = target.leaf(name, pfn, role)
            require(single == raw, f"PFN {pfn:#x} is {single:#x} singly and {raw:#x} in a run", where=subject)
            read = target.decode(name, raw).pfn
            require(read == pfn, f"PFN {pfn:#x} with {role.value} reads as PFN {read}", where=subject)
