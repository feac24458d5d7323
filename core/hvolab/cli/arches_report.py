# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab arches`: data for JSON, and tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hvolab.arch import Architecture, Feature, LiveEntryRule, MemoryOrder, PageFlags, PagingMode
from hvolab.cli.output import labeled, table
from hvolab.hvo import VmemmapSizes
from hvolab.release import DEFAULT
from hvolab.serialize import Hex
from hvolab.units import format_short, format_size


@dataclass(frozen=True)
class Savings:
    """A huge page size, the sizes of its vmemmap, and the part of the vmemmap that HVO frees."""

    page_size: int = field(metadata={"data": None})
    size: int
    name: str
    level: str
    entries: int
    vmemmap_pages: int
    vmemmap_bytes: int
    optimizable: bool
    frames_saved: int
    bytes_saved: int
    percent_saved: float


@dataclass(frozen=True)
class LevelData:
    """A level of a page-table walk: the VA bits that index it are `bits` from `shift` on."""

    name: str
    shift: int
    bits: int


@dataclass(frozen=True)
class ModeData:
    """A paging mode; sizes in bytes, bases as VAs."""

    name: str
    summary: str
    page_size: int
    va_bits: int
    pa_bits: int
    levels: tuple[LevelData, ...]
    direct_map_base: Hex
    vmemmap_base: Hex
    vmemmap_level: str
    huge_pages: tuple[Savings, ...]


@dataclass(frozen=True)
class FeatureData:
    """A feature, the modes that have it (none: all), and the huge pages that exist only with it."""

    name: str
    summary: str
    modes: tuple[str, ...]
    huge_pages: tuple[Savings, ...]


@dataclass(frozen=True)
class TraitsData:
    """Behavior of CPUs and kernel that HVO depends on: see `hvolab.arch.Traits`."""

    live_entries: LiveEntryRule
    memory_order: MemoryOrder
    flush_all_effective: bool
    compare_and_swap_needs_write: bool
    bootmem_info: bool


@dataclass(frozen=True)
class ByteOrders:
    """Byte order of the kernel's data, and of page-table entries."""

    data: Literal["little", "big"]
    entries: Literal["little", "big"]


@dataclass(frozen=True)
class ArchitectureData:
    """One architecture, in the JSON of `hvolab arches`.

    profiles     sets of bits that `--profile` selects
    releases     kernel releases that `--release` selects
    page_flags   widths at the top of the flags of a struct page, by release
    tails_fault  for each profile, whether a store to a tail faults
    emulated     whether its plugin describes an emulated CPU
    source       manual or kernel file of the description
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    modes: tuple[ModeData, ...]
    profiles: tuple[str, ...]
    releases: tuple[str, ...]
    features: tuple[FeatureData, ...]
    traits: TraitsData
    byte_order: ByteOrders
    page_flags: tuple[PageFlags, ...]
    tails_fault: Mapping[str, bool]
    emulated: bool
    source: str


def savings(mode: PagingMode) -> list[Savings]:
    """Return the savings for each huge page size of ``mode``, ascending."""
    found = []
    for page in mode.huge_pages:
        order = (page.size >> mode.page_shift).bit_length() - 1
        vmemmap = VmemmapSizes(order, mode.page_size, DEFAULT.struct_page.size)
        mapping = mode.page_size, page.size, format_short(page.size), page.level, page.count
        freed = vmemmap.optimizable, vmemmap.saved_pages, vmemmap.optimizable_size
        percent = round(100 * vmemmap.optimizable_size / vmemmap.size, 2)
        found.append(Savings(*mapping, vmemmap.pages, vmemmap.size, *freed, percent))
    return found


def _feature_savings(architecture: Architecture, feature: Feature) -> list[Savings]:
    """Return the savings for the sizes that exist only with ``feature``."""
    mode = architecture.mode(feature.modes[0] if feature.modes else None)
    without = {page.size for page in mode.huge_pages}
    return [each for each in savings(feature.applied(mode)) if each.size not in without]


def data_of(architecture: Architecture) -> ArchitectureData:
    """Return an architecture's declarations that a user can select or look up, for JSON."""
    traits, names = architecture.traits, [field.name for field in fields(TraitsData)]
    return ArchitectureData(
        *(architecture.name, architecture.title, architecture.aliases),
        modes=tuple(_mode_data(mode) for mode in architecture.modes),
        profiles=architecture.profiles,
        releases=tuple(release.name for release in architecture.offered),
        features=tuple(
            FeatureData(one.name, one.summary, one.modes, tuple(_feature_savings(architecture, one)))
            for one in architecture.features
        ),
        traits=TraitsData(**{name: getattr(traits, name) for name in names}),
        byte_order=ByteOrders(architecture.byte_order, architecture.select().entry_byte_order),
        page_flags=architecture.page_flags,
        tails_fault=_tails_fault(architecture),
        emulated=architecture.emulation is not None,
        source=architecture.source,
    )


def _mode_data(mode: PagingMode) -> ModeData:
    levels = tuple(LevelData(level.name, level.shift, level.bits) for level in mode.levels)
    sizes = mode.page_size, mode.va_bits, mode.pa_bits
    bases = mode.direct_map_base, mode.vmemmap_base, mode.vmemmap_level
    return ModeData(mode.name, mode.summary, *sizes, levels, *bases, tuple(savings(mode)))


def _tails_fault(architecture: Architecture) -> dict[str, bool]:
    """Return for each profile whether a store to a tail faults."""
    return {profile: architecture.select(profile=profile).tails_fault for profile in architecture.profiles}


def render(architecture: Architecture) -> Group:
    """Return one architecture as heading, modes, savings, and selectable names."""
    heading = Text.assemble((architecture.name, "bold cyan"), f"  {architecture.title}")
    if architecture.aliases:
        heading.append(f"   also called {', '.join(architecture.aliases)}", "dim")
    parts = (_modes_table(architecture), _savings_table(architecture), _choices(architecture))
    return Group(heading, *(Padding(part, (1, 0, 0, 2)) for part in parts), Text())


def _modes_table(architecture: Architecture) -> Table:
    numbers = ("base page", "VA bits", "PA bits")
    rows = table("mode", *numbers, "levels", "vmemmap by", right=numbers)
    for mode in architecture.modes:
        levels = " ".join(f"{level.name}:{level.bits}" for level in mode.levels)
        numbers = (format_size(mode.page_size), f"{mode.va_bits}", f"{mode.pa_bits}")
        rows.add_row(Text(mode.name, "bold"), *numbers, levels, f"{mode.vmemmap_level} leaves")
    return rows


def _savings_table(architecture: Architecture) -> Table:
    """Return the savings of HVO for each size; modes with the same savings share a row."""
    shared: dict[Savings, list[str]] = {}
    for mode in architecture.modes:
        for each in savings(mode):
            shared.setdefault(each, []).append(mode.name)
    for feature in architecture.features:
        for each in _feature_savings(architecture, feature):
            shared[each] = [f"with {feature.name}"]
    rows = table(
        *("huge page", "mapped by", "vmemmap pages", "frames saved", "bytes saved", "saved", "modes"),
        right=("huge page", "vmemmap pages", "frames saved", "bytes saved", "saved"),
    )
    for each, modes in sorted(shared.items(), key=lambda item: item[0].size):
        mapped = f"{each.level} leaf" if each.entries == 1 else f"{each.entries} {each.level} leaves"
        part = each.vmemmap_bytes / each.page_size
        pages = f"{each.vmemmap_pages}" if part >= 1 else f"{part:.2g}"
        size, saved = "0", Text("nothing", "yellow")
        if each.optimizable:
            size, saved = format_size(each.bytes_saved), Text(f"{each.percent_saved:.2f} %", "green")
        where = "all" if len(modes) == len(architecture.modes) else ", ".join(modes)
        rows.add_row(Text(format_size(each.size), "bold"), mapped, pages, f"{each.frames_saved}", size, saved, where)
    rows.columns[-1].no_wrap = False
    return rows


def _page_flags(architecture: Architecture) -> dict[str, str]:
    """Return the fields at the top of a struct page's flags, by the releases that have them."""
    return {
        ", ".join(flags.releases) or ("others" if position else "all"): (
            f"at most {1 << flags.node_bits} nodes: {flags.node_bits} bits of node, {flags.zone_bits} of zone, "
            f"{flags.cpupid_bits} of last CPU"
        )
        for position, flags in enumerate(architecture.page_flags)
    }


def _byte_order(architecture: Architecture) -> str:
    """Return the byte order of data, and that of entries where it is another one."""
    data, entries = architecture.byte_order, architecture.select().entry_byte_order
    return f"{data}-endian" if data == entries else f"data {data}-endian, entries {entries}-endian"


def _choices(architecture: Architecture) -> Table:
    traits, features = architecture.traits, architecture.features
    grid = labeled()

    def add(label: str, texts: dict[str, str]) -> None:
        """Add a row for each name, and its text."""
        widest = max(map(len, texts), default=0)
        for name, text in texts.items():
            grid.add_row(label, Text.assemble((f"{name:<{widest}}", "bold"), f"  {text}"))

    tails = {True: "a store to a tail faults", False: "a store to a tail succeeds: tails stay writable"}
    add("profile", {name: tails[faults] for name, faults in _tails_fault(architecture).items()})
    own = ", ".join(architecture.releases[1:])
    grid.add_row("releases", ", ".join(map(str, architecture.offered)) + f"; declared apart: {own}" * bool(own))
    where = {feature.name: f" ({', '.join(feature.modes)} only)" * bool(feature.modes) for feature in features}
    add("feature", {feature.name: f"{feature.summary}{where[feature.name]}" for feature in features})
    grid.add_row("live entries", traits.live_entries.value)
    flush = "" if traits.flush_all_effective else "; flush_tlb_all() flushes nothing"
    grid.add_row("memory", f"{traits.memory_order.value}{flush}")
    grid.add_row("byte order", _byte_order(architecture))
    add("page flags", _page_flags(architecture))
    grid.add_row("source", Text(architecture.source, "dim"))
    return grid
