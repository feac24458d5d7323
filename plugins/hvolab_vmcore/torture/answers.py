# SPDX-License-Identifier: GPL-2.0-only
"""Right answers about a dump, from the machine itself: the JSON of `hvolab torture`, whose keys are stable."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.serialize import Hex


@dataclass(frozen=True)
class Translation:
    """Consecutive pages of vmemmap that are mapped to the same frame; often a single one.

    va        VA of the first
    pages     number of pages
    pfn       the frame
    writable  a store would not fault
    """

    va: Hex
    pages: int
    pfn: Hex
    writable: bool


@dataclass(frozen=True)
class HugePageAnswer:
    """A huge page of a pool.

    pfn        PFN of its head
    size       bytes
    node       NUMA node
    optimized  HVO has optimized it
    vmemmap    mapping of its struct pages
    """

    pfn: Hex
    size: int
    node: int
    optimized: bool
    vmemmap: tuple[Translation, ...]


@dataclass(frozen=True)
class DumpAnswers:
    """Right answers about one dump.

    file              name of the file, or of the first part
    parts             names of the other parts of a split dump
    options           options without which the dump cannot be read: the map of raw memory
    format            name of the format
    architecture      architecture
    mode              paging mode
    release           kernel release whose struct pages and entries it has
    kernel            release as `uname -r` would print it
    page_size         bytes of a base page
    struct_page_size  bytes of a struct page
    root              PA of the root table
    vmemmap           VA of the struct page of PFN 0
    frames_saved      frames that HVO freed
    huge_pages        all huge pages of pools
    """

    file: str
    parts: tuple[str, ...]
    options: tuple[str, ...]
    format: str
    architecture: str
    mode: str
    release: str
    kernel: str
    page_size: int
    struct_page_size: int
    root: Hex
    vmemmap: Hex
    frames_saved: int
    huge_pages: tuple[HugePageAnswer, ...]


@dataclass(frozen=True)
class TortureAnswers:
    """Right answers about all dumps of a folder.

    version  release of hvolab that wrote them
    dumps    the dumps
    """

    version: str
    dumps: tuple[DumpAnswers, ...]
