"""The description against what is known: entries and figures that were not computed from it."""

from __future__ import annotations

from hvolab.arch import EntryKind, Example, Target
from hvolab.conformance.capabilities import KNOWN_ENTRIES, KNOWN_FIGURES, SOUND, examples_of, figures_of
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError
from hvolab.hvo import VmemmapSizes
from hvolab.machine import STRUCT_PAGE_V6_12

checks = Checks()


def _target(subject: Subject, known: Example) -> Target:
    """The subject's mode, with the choice under which the example was seen."""
    return subject.architecture.select(
        subject.mode_name, profile=known.profile, release=known.release, features=known.features
    )


def _examples(subject: Subject) -> list[Example]:
    """The examples that can stand in the subject's mode: it may have fewer levels than the one they were seen in."""
    levels = {level.name for level in subject.mode.levels}
    return [
        known
        for known in examples_of(subject)
        if known.mode == subject.mode_name or (known.level == subject.mode.last.name and known.level in levels)
    ]


@checks.add(Scope.MODE, SOUND, KNOWN_ENTRIES)
def known_entries_decode_as_they_should(subject: Subject) -> None:
    """Entries of running kernels and manuals are what they are known to be, and lead where they are known to lead."""
    for known in _examples(subject):
        target = _target(subject, known)
        try:
            entry = target.decode(known.level, known.raw)
        except EncodingError as error:
            require(known.kind is EntryKind.ILLEGAL, f"a {known.kind.value} is refused: {error.what}", where=known)
            continue
        require(entry.kind is known.kind, f"a {known.kind.value} reads as a {entry.kind.value}", where=known)
        told = "none" if entry.pfn is None else f"{entry.pfn:#x}"
        require(entry.pfn == known.pfn, f"the PFN reads as {told}, not {known.pfn or 0:#x}", where=known)


@checks.add(Scope.MODE, SOUND, KNOWN_ENTRIES)
def known_entries_have_their_pgprot(subject: Subject) -> None:
    """An entry that a kernel made with a protection is, bit by bit, what the description makes with it."""
    for known in _examples(subject):
        if known.role is None or known.pfn is None:
            continue
        target = _target(subject, known)
        made = (
            target.table(known.level, known.pfn)
            if known.kind is EntryKind.TABLE
            else target.leaf(known.level, known.pfn, known.role)
        )
        differ = made ^ known.raw
        bits = ", ".join(str(bit) for bit in range(differ.bit_length()) if differ >> bit & 1)
        require(not differ, f"{known.role.value} makes {made:#018x}: it differs in bits {bits}", where=known)


@checks.add(Scope.MODE, KNOWN_FIGURES)
def known_figures_hold(subject: Subject) -> None:
    """The bases, the huge page sizes and what HVO saves for each are what the kernel's documents say."""
    for known in figures_of(subject):
        # without a feature the mode as it is declared, whether or not it can be selected
        features = known.features
        mode = subject.architecture.select(known.mode, features=features).mode if features else subject.mode
        for title, declared, expected in (
            ("the direct map", mode.direct_map_base, known.direct_map_base),
            ("the vmemmap", mode.vmemmap_base, known.vmemmap_base),
        ):
            require(
                declared == expected,
                f"{title} is declared to begin at {declared:#x}, it is known to begin at {expected:#x}",
                where=f"{subject}, from {known.source}",
            )
        declared_sizes = tuple(
            (
                huge.size,
                VmemmapSizes(
                    (huge.size >> mode.page_shift).bit_length() - 1, mode.page_size, STRUCT_PAGE_V6_12.size
                ).saved_pages,
            )
            for huge in mode.huge_pages
        )
        require(
            declared_sizes == known.huge_pages,
            f"huge pages and what they save are {_sizes(declared_sizes)}, known are {_sizes(known.huge_pages)}",
            where=f"{subject}, from {known.source}",
        )


def _sizes(pairs: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{size:#x} bytes saving {saved}" for size, saved in pairs)
