# SPDX-License-Identifier: GPL-2.0-only
"""Data of a timeline: what travels in the page, and what `--trace` writes.

A step is a row of integers; `row_kinds` names the columns of each kind. Rows that repeat with even differences are
folded into loops, see :mod:`hvolab_report.timeline.fold`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Name and version of the schema; the version rises where a reader of the former one would misread the data.
SCHEMA, VERSION = "hvolab-timeline", 1


@dataclass(frozen=True)
class RowKind:
    """One kind of rows.

    name     that of the event, as `entry.store`
    columns  meaning of each integer after the kind; the last, if it ends with `*`, is repeated as a group
    kernel   the kernel function or operation that the event stands for; {} is replaced where a row has several
    what     what that does
    is_step  whether a row is a step; others belong to the step before them
    """

    name: str
    columns: tuple[str, ...]
    kernel: str
    what: str
    is_step: bool


@dataclass(frozen=True)
class FunctionData:
    """A kernel function that is in progress during steps.

    name    its name
    what    what it does
    source  file and release, as far as docstrings name them
    model   the function of hvolab that models it; empty: the kernel's own code runs
    """

    name: str
    what: str
    source: str
    model: str


@dataclass(frozen=True)
class BitsData:
    """A field of an entry, decoded by the architecture.

    name     of the field
    high     number of its highest bit
    low      number of its lowest bit
    value    its value, in hex
    meaning  meaning of the bits
    """

    name: str
    high: int
    low: int
    value: str
    meaning: str


@dataclass(frozen=True)
class AddressData:
    """A run of an entry's bits: `width` bits from `low` on hold bits of the output PA from `physical` on."""

    low: int
    width: int
    physical: int


@dataclass(frozen=True)
class PatternData:
    """All bits of an entry but those of the output PA; an entry is a pattern and a PFN.

    level     index in `levels`
    kind      none, table, leaf or illegal
    raw       the bits, in hex
    fields    the fields, the lowest first; those of the address are in `address`
    address   the bits that hold the output PA; empty: an entry without PFN
    pgprots   protections that it has exactly, as `PAGE_KERNEL_RO`
    access    accesses that the kernel is allowed, as `rw`
    note      its meaning to the kernel, if it is not valid
    """

    level: int
    kind: str
    raw: str
    fields: tuple[BitsData, ...]
    address: tuple[AddressData, ...]
    pgprots: tuple[str, ...]
    access: str
    note: str


@dataclass(frozen=True)
class LevelData:
    """A level of the page tables: its name, and log2 of the bytes that one of its entries covers."""

    name: str
    shift: int


@dataclass(frozen=True)
class FolioData:
    """A folio that HVO works on.

    base, va  VA of its head struct page, as index in `bases` and offset
    pfn       its head PFN
    order     log2 of its base pages
    pages     pages of its vmemmap
    seen      step before which `runs` is its mapping
    runs      mapping at that step: groups of first page, pages, level, pattern, PFN, step of PFNs, flattened
    """

    base: int
    va: int
    pfn: int
    order: int
    pages: int
    seen: int
    runs: tuple[int, ...]


@dataclass(frozen=True)
class FindingData:
    """A finding.

    rule      name of the invariant
    number    its number
    what      what is wrong
    where     where
    declared  whether the description or the release predicts it
    fault     known fault of the release that makes it
    """

    rule: str
    number: int
    what: str
    where: str
    declared: bool
    fault: str


@dataclass(frozen=True)
class VoiceData:
    """One machine, and what happened on it.

    name         of the voice; empty where there is one
    target       architecture, mode, profile, release and features in words
    release      kernel release
    page_shift   log2 of the base page size
    struct_page  bytes of a struct page
    tails_fault  whether a store to a tail must fault
    cpus         name of each CPU; an actor's, where it runs one
    unknown_tlbs CPUs that cannot report their TLB
    levels       levels of the page tables, from the root on
    bases        bases of VAs, in hex: that of the vmemmap first, that of the direct map second
    texts        texts that rows refer to
    functions    kernel functions that rows refer to
    patterns     patterns that rows refer to
    folios       the folios, in order of their first step
    findings     findings that rows refer to
    rows         the steps, folded
    steps        number of steps
    free_frames  free frames where the rows of allocations and frees do not imply them: number of a step, and free
                 frames after it, flattened; empty: the machine cannot report them
    """

    name: str
    target: str
    release: str
    page_shift: int
    struct_page: int
    tails_fault: bool
    cpus: tuple[str, ...]
    unknown_tlbs: tuple[int, ...]
    levels: tuple[LevelData, ...]
    bases: tuple[str, ...]
    texts: tuple[str, ...]
    functions: tuple[FunctionData, ...]
    patterns: tuple[PatternData, ...]
    folios: tuple[FolioData, ...]
    findings: tuple[FindingData, ...]
    rows: tuple[tuple[int, ...], ...]
    steps: int
    free_frames: tuple[int, ...]


@dataclass(frozen=True)
class TimelineData:
    """A timeline.

    schema       `hvolab-timeline`
    version      version of this schema
    hvolab       version of hvolab that wrote it
    title        what was done, as the command line
    row_kinds    kinds of rows, by the first integer of a row
    voices       one machine or two
    difference   number of the first step of each voice at which the two differ; empty: one voice, or they are alike
    aligned      groups of steps that correspond: of each voice first step and number of steps, then the index in
                 `differs`, -1 for a group that is alike (equal numbers: one by one), -2 for one that is not compared
    differs      differences, in words
    not_compared names of the kinds of steps that are not compared, as a voice does not report them
    """

    schema: str
    version: int
    hvolab: str
    title: str
    row_kinds: tuple[RowKind, ...]
    voices: tuple[VoiceData, ...]
    difference: tuple[int, ...]
    aligned: tuple[int, ...]
    differs: tuple[str, ...]
    not_compared: tuple[str, ...]
