# SPDX-License-Identifier: GPL-2.0-only
"""The description against reference values: entries and figures from running kernels, manuals and documentation."""

from __future__ import annotations

from typing import Literal

from hvolab.arch import EntryKind, Example, Target
from hvolab.conformance.capabilities import KNOWN_BYTES, KNOWN_ENTRIES, KNOWN_FIGURES, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import (
    examples_in_bytes,
    examples_of,
    figures_of,
    pgprot_of,
    unknown_pgprots,
    vmemmap_sizes,
)
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError

checks = Checks()


def _target(subject: Subject, known: Example) -> Target:
    """Return the subject's mode, or that of the example, with the selection of the example."""
    return subject.architecture.select(
        subject.mode_name or known.mode, profile=known.profile, release=known.release, features=known.features
    )


def _examples(subject: Subject) -> list[Example]:
    """Return the examples of the subject's mode, and of other modes those of the last level."""
    last = subject.mode.last.name
    return [known for known in examples_of(subject) if subject.mode_name == known.mode or known.level == last]


@checks.add(Scope.ARCHITECTURE, KNOWN_BYTES)
def known_bytes_are_in_the_byte_order_of_entries(subject: Subject) -> None:
    """Entries that are known as bytes in memory are the known entries in the byte order of entries, not in the other.

    The kernel's data may have the other order: radix tables of ppc64le are big-endian.
    """
    for known, octets in examples_in_bytes(subject.architecture):
        target = _target(subject, known)
        declared = target.entry_byte_order
        other: Literal["little", "big"] = "big" if declared == "little" else "little"
        if _is_known(target, known, declared) or not _is_known(target, known, other):
            continue  # what is wrong in both orders is reported by the checks below
        read = target.describe(known.level, known.entry(declared))
        require(
            holds=False,
            what=f"{octets.hex(' ')}, {declared}-endian, is {read}; {other}-endian it is the known {known.kind.value}",
            where=known,
            hint=f"declare Architecture.entry_byte_order={other!r}; byte_order is that of the kernel's data alone",
        )


def _is_known(target: Target, known: Example, byte_order: Literal["little", "big"]) -> bool:
    """Return True if the bytes of an example, in this order, decode to its kind and PFN."""
    try:
        entry = target.decode(known.level, known.entry(byte_order))
    except EncodingError:
        return known.kind is EntryKind.ILLEGAL
    return (entry.kind, entry.pfn) == (known.kind, known.pfn)


@checks.add(Scope.MODE, SOUND, KNOWN_ENTRIES)
def known_entries_decode_correctly(subject: Subject) -> None:
    """Entries of running kernels and manuals decode to their known kind and PFN."""
    for known in _examples(subject):
        try:
            target = _target(subject, known)
            entry = target.decode(known.level, known.entry(target.entry_byte_order))
        except EncodingError as error:
            require(known.kind is EntryKind.ILLEGAL, f"a {known.kind.value} is refused: {error.what}", where=known)
            continue
        require(entry.kind is known.kind, f"a {known.kind.value} reads as a {entry.kind.value}", where=known)
        pfn = "none" if entry.pfn is None else f"{entry.pfn:#x}"
        require(entry.pfn == known.pfn, f"the PFN reads as {pfn}, not {known.pfn or 0:#x}", where=known)


@checks.add(Scope.MODE, SOUND, KNOWN_ENTRIES)
def known_entries_have_their_pgprot(subject: Subject) -> str:
    """An entry that a kernel made with a protection is, bit by bit, the entry that the description makes with it."""
    for known in _examples(subject):
        if known.role is None or known.pfn is None:
            continue
        target = _target(subject, known)
        if known.kind is EntryKind.TABLE:
            made = target.table(known.level, known.pfn)
        else:
            made = target.leaf(known.level, known.pfn, known.role)
        raw = known.entry(target.entry_byte_order)
        form = target.mode.format.form(known.level, known.kind)
        differing = ", ".join(
            f"{bits} {state}"
            for bits, state in ((form.name_bits(raw & ~made), "missing"), (form.name_bits(made & ~raw), "too much"))
            if bits
        )
        name = pgprot_of(target, known.role).name
        what = f"{known.role.value} makes {made:#018x}, known is {raw:#018x}: {differing}"
        require(made == raw, what, where=known, hint=f"correct the fields of {name}, or the example")
    unknown = unknown_pgprots(subject.architecture)
    return f"no example is of {', '.join(unknown)}" if unknown else ""


@checks.add(Scope.MODE, KNOWN_FIGURES, apart=True)
def known_figures_hold(subject: Subject) -> None:
    """The bases, the huge page sizes and the savings of each size are those of the kernel's documentation."""
    for known in figures_of(subject):
        # without a feature, the declared mode, whether or not it can be selected
        features = known.features
        mode = subject.architecture.select(known.mode, features=features).mode if features else subject.mode
        where = f"{subject}, from {known.source}"
        for title, declared, expected in (
            ("the direct map", mode.direct_map_base, known.direct_map_base),
            ("the vmemmap", mode.vmemmap_base, known.vmemmap_base),
        ):
            require(declared == expected, f"{title} begins at {declared:#x}, known is {expected:#x}", where=where)
        sizes = tuple((huge.size, vmemmap_sizes(mode, huge.size).saved_pages) for huge in mode.huge_pages)
        what = f"the savings of huge pages are {_sizes(sizes)}, known are {_sizes(known.huge_pages)}"
        require(sizes == known.huge_pages, what, where=where)


def _sizes(pairs: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{saved} frames of {size:#x} bytes" for size, saved in pairs)
