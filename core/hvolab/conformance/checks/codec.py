"""Encoding and decoding: each undoes the other, for every field, every address bit, and generated entries."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hvolab.arch import EntryForm, EntryKind, Level, PgprotRole, Target, set_bits
from hvolab.conformance.capabilities import SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import forms_at
from hvolab.conformance.samples import is_legal, legal_entries, repeatable, values_of
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError

checks = Checks()


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
            again = _encoded(target, level, form, decoded.pfn or 0, decoded.fields)
            require(again == raw, f"{name}: {raw:#x} decodes to values that encode as {again:#x}")


def _encoded(target: Target, level: Level, form: EntryForm, pfn: int, fields: tuple[tuple[str, int], ...]) -> int:
    """Return the entry of `form`: the format's own encode() takes the first form of the kind, which may be another."""
    if target.mode.format.form(level.name, form.kind) is form:
        return target.mode.format.encode(level.name, form.kind, pfn, fields, target.mode.page_shift)
    return form.put_address(pfn << target.mode.page_shift) | form.put_fields(fields)


def _each_address_bit(target: Target, level: Level, form: EntryForm, base: int) -> None:
    shift = target.mode.page_shift
    for pa in (*(1 << bit for bit in set_bits(form.physical_mask)), form.physical_mask, 0):
        decoded = target.mode.format.decode(level.name, form.put_address(pa) | base, shift)
        name = f"PA {pa:#x} in a {form.kind.value} at {level.name}"
        require(decoded.pfn == pa >> shift, f"{name} reads as PFN {decoded.pfn}")
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
            raw = noise & known & ~match.mask | match.value
        try:
            entry = entry_format.decode(name, raw, shift)
        except EncodingError:
            return
        if entry.kind is EntryKind.NONE:
            return
        found = entry_format.recognize(name, raw)
        assert found is not None  # noqa: S101 - it was decoded
        again = _encoded(target, target.mode.level(name), found, entry.pfn or 0, entry.fields)
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
