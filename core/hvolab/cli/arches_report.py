"""What `hvolab arches` tells of an architecture: as JSON, and as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hvolab.arch import Architecture, Feature, PagingMode
from hvolab.cli.output import table
from hvolab.hvo import VmemmapSizes
from hvolab.machine.struct_pages.layout import STRUCT_PAGE_V6_12
from hvolab.units import format_short, format_size


def savings(mode: PagingMode) -> list[tuple[str, int, int, VmemmapSizes]]:
    """Level, entries there, bytes and vmemmap of each huge page size of ``mode``, ascending."""
    return [
        (
            huge.level,
            huge.count,
            huge.size,
            VmemmapSizes((huge.size >> mode.page_shift).bit_length() - 1, mode.page_size, STRUCT_PAGE_V6_12.size),
        )
        for huge in mode.huge_pages
    ]


def _feature_savings(architecture: Architecture, feature: Feature) -> list[tuple[str, int, int, VmemmapSizes]]:
    """As savings(), for the sizes that exist only with ``feature``."""
    mode = architecture.mode(feature.modes[0] if feature.modes else None)
    without = {huge.size for huge in mode.huge_pages}
    chosen = architecture.select(mode.name, features=(feature.name,)).mode
    return [row for row in savings(chosen) if row[2] not in without]


def percent_saved(sizes: VmemmapSizes) -> float:
    """The part of a huge page's vmemmap that HVO frees, in percent."""
    return 100 * sizes.optimizable_size / sizes.size


def as_dict(architecture: Architecture) -> dict[str, Any]:
    """All that a plugin has declared and a user may choose from or wants to know."""
    traits = architecture.traits
    return {
        "name": architecture.name,
        "title": architecture.title,
        "aliases": list(architecture.aliases),
        "modes": [_mode_as_dict(mode) for mode in architecture.modes],
        "profiles": list(architecture.profiles),
        "releases": list(architecture.releases),
        "features": [
            {
                "name": feature.name,
                "summary": feature.summary,
                "modes": list(feature.modes),
                "huge_pages": [_huge_page_as_dict(*row) for row in _feature_savings(architecture, feature)],
            }
            for feature in architecture.features
        ],
        "traits": {
            "live_entries": traits.live_entries.name.lower(),
            "memory_order": traits.memory_order.name.lower(),
            "flush_all_effective": traits.flush_all_effective,
            "compare_and_swap_needs_write": traits.compare_and_swap_needs_write,
            "bootmem_info": traits.bootmem_info,
        },
        "tails_fault": {profile: architecture.select(profile=profile).tails_fault for profile in architecture.profiles},
        "emulated": architecture.emulation is not None,
        "source": architecture.source,
    }


def _mode_as_dict(mode: PagingMode) -> dict[str, Any]:
    return {
        "name": mode.name,
        "summary": mode.summary,
        "page_size": mode.page_size,
        "va_bits": mode.va_bits,
        "pa_bits": mode.pa_bits,
        "levels": [{"name": level.name, "shift": level.shift, "bits": level.bits} for level in mode.levels],
        "direct_map_base": f"{mode.direct_map_base:#x}",
        "vmemmap_base": f"{mode.vmemmap_base:#x}",
        "vmemmap_level": mode.vmemmap_level,
        "huge_pages": [_huge_page_as_dict(*row) for row in savings(mode)],
    }


def _huge_page_as_dict(level: str, entries: int, size: int, sizes: VmemmapSizes) -> dict[str, Any]:
    return {
        "size": size,
        "name": format_short(size),
        "level": level,
        "entries": entries,
        "vmemmap_pages": sizes.pages,
        "vmemmap_bytes": sizes.size,
        "optimizable": sizes.optimizable,
        "frames_saved": sizes.saved_pages,
        "bytes_saved": sizes.optimizable_size,
        "percent_saved": round(percent_saved(sizes), 2),
    }


def render(architecture: Architecture) -> Group:
    """One architecture: heading, modes, savings, and what can be chosen."""
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
        widths = (f"{mode.va_bits}", f"{mode.pa_bits}")
        leaves = f"{mode.vmemmap_level} leaves"
        rows.add_row(Text(mode.name, "bold"), format_size(mode.page_size), *widths, levels, leaves)
    return rows


def _savings_table(architecture: Architecture) -> Table:
    """What HVO saves for each size; modes that save the same share a row."""
    shared: dict[tuple[int, str, VmemmapSizes], list[str]] = {}
    for mode in architecture.modes:
        for level, entries, size, sizes in savings(mode):
            mapped = f"{level} leaf" if entries == 1 else f"{entries} {level} leaves"
            shared.setdefault((size, mapped, sizes), []).append(mode.name)
    for feature in architecture.features:
        for level, entries, size, sizes in _feature_savings(architecture, feature):
            shared[size, f"{entries} {level} leaves", sizes] = [f"with {feature.name}"]
    rows = table(
        *("huge page", "mapped by", "vmemmap pages", "frames saved", "bytes saved", "saved", "modes"),
        right=("huge page", "vmemmap pages", "frames saved", "bytes saved", "saved"),
    )
    for (size, mapped, sizes), modes in sorted(shared.items(), key=lambda item: item[0][0]):
        saved = Text(f"{percent_saved(sizes):.2f} %", "green") if sizes.optimizable else Text("nothing", "yellow")
        pages = f"{sizes.pages}" if sizes.size >= sizes.page_size else f"{sizes.size / sizes.page_size:.2g}"
        numbers = (pages, f"{sizes.saved_pages}", format_size(sizes.optimizable_size) if sizes.optimizable else "0")
        where = "all" if len(modes) == len(architecture.modes) else ", ".join(modes)
        rows.add_row(Text(format_size(size), "bold"), mapped, *numbers, saved, where)
    rows.columns[-1].no_wrap = False
    return rows


def _choices(architecture: Architecture) -> Table:
    traits = architecture.traits
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    widest = max(map(len, architecture.profiles))
    for profile in architecture.profiles:
        faults = architecture.select(profile=profile).tails_fault
        tails = "a store to a tail faults" if faults else "a store to a tail lands: tails stay writable"
        grid.add_row("profile", Text.assemble((f"{profile:<{widest}}", "bold"), f"  {tails}"))
    grid.add_row("kernels", ", ".join(architecture.releases))
    widest = max((len(feature.name) for feature in architecture.features), default=0)
    for feature in architecture.features:
        where = f" ({', '.join(feature.modes)} only)" if feature.modes else ""
        grid.add_row("feature", Text.assemble((f"{feature.name:<{widest}}", "bold"), f"  {feature.summary}{where}"))
    grid.add_row("live entries", traits.live_entries.value)
    flush = "" if traits.flush_all_effective else "; flush_tlb_all() flushes nothing"
    grid.add_row("memory", f"{traits.memory_order.value}{flush}")
    grid.add_row("source", Text(architecture.source, "dim"))
    return grid
