# SPDX-License-Identifier: GPL-2.0-only
"""The page of architectures, generated from the installed plugins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hvolab.arch import Architecture, EntryKind, PgprotRole, Target
from hvolab.cli.arches_report import data_of
from hvolab.cli.protections import first_level
from hvolab.plugin import registry
from hvolab.serialize import as_data
from hvolab.units import format_size

from .markdown import code, plain, table

#: What HVO uses each protection for.
_USES = {
    PgprotRole.KERNEL: "head pages, restored tails, the entries of a split",
    PgprotRole.KERNEL_RO: "tails of an optimized folio",
    PgprotRole.KERNEL_LARGE: "a leaf above the last level",
    PgprotRole.TABLE: "an entry that points to a table",
    PgprotRole.KERNEL_EXEC: "text of emulated CPUs",
}


def architectures() -> str:
    """Return a section for every architecture of an installed plugin."""
    return "\n".join(text for architecture in registry().architectures().values() for text in _sections(architecture))


def _sections(architecture: Architecture) -> Iterator[str]:
    data = as_data(data_of(architecture))
    aliases = f" Also called {', '.join(map(code, architecture.aliases))}." if architecture.aliases else ""
    yield f"## {architecture.name}\n"
    yield f"{plain(architecture.title)}.{aliases} Source: {plain(architecture.source)}.\n"
    yield "### Paging modes\n"
    yield _modes(architecture)
    yield "### What HVO saves\n"
    yield _savings(data)
    yield "### Protections\n"
    yield _protections(architecture)
    yield "### Behavior\n"
    yield _behavior(architecture)
    if architecture.features:
        yield "### Features\n"
        yield table(
            ("`--feature`", "what the machine or boot has", "modes", "source"),
            [
                (
                    code(feature.name),
                    plain(feature.summary),
                    ", ".join(map(code, feature.modes)) or "all",
                    plain(feature.source),
                )
                for feature in architecture.features
            ],
        )
    if architecture.emulation is not None:
        yield "### Instruction sequences\n"
        yield table(
            ("step", "instructions", "bytes", "effect"),
            [
                (code(sequence.step), code(sequence.text), code(sequence.code), plain(sequence.effect))
                for sequence in architecture.emulation.sequences
            ],
        )


def _modes(architecture: Architecture) -> str:
    return table(
        ("`--mode`", "base page", "VA bits", "PA bits", "levels, with bits of index", "vmemmap", "mapped by"),
        [
            (
                code(mode.name),
                format_size(mode.page_size),
                f"{mode.va_bits}",
                f"{mode.pa_bits}",
                " ".join(f"{level.name}:{level.bits}" for level in mode.levels),
                code(f"{mode.vmemmap_base:#x}"),
                f"{mode.vmemmap_level} leaves",
            )
            for mode in architecture.modes
        ],
        right=("base page", "VA bits", "PA bits"),
    )


def _savings(data: dict[str, Any]) -> str:
    """Return a row for each huge page size; modes with equal rows share one."""
    shared: dict[tuple[str, ...], list[str]] = {}
    sizes: dict[tuple[str, ...], int] = {}
    pages = {mode["name"]: mode["page_size"] for mode in data["modes"]}
    for title, owner, page_size in [
        *((code(mode["name"]), mode, mode["page_size"]) for mode in data["modes"]),
        *(
            (f"with {code(feature['name'])}", feature, pages[(*feature["modes"], *pages)[0]])
            for feature in data["features"]
        ),
    ]:
        for huge in owner["huge_pages"]:
            row = _saving(huge, page_size)
            sizes[row] = huge["size"]
            shared.setdefault(row, []).append(title)
    count = len(data["modes"])
    right = ("huge page", "vmemmap pages", "frames saved", "bytes saved", "saved")
    rows = [
        (*row, "all" if len(shared[row]) == count and count > 1 else ", ".join(shared[row]))
        for row in sorted(shared, key=lambda row: sizes[row])
    ]
    return table(("huge page", "mapped by", *right[1:], "modes"), rows, right=right)


def _saving(huge: dict[str, Any], page_size: int) -> tuple[str, ...]:
    by = f"{huge['level']} leaf" if huge["entries"] == 1 else f"{huge['entries']} {huge['level']} leaves"
    pages = f"{huge['vmemmap_bytes'] / page_size:.4g}"
    saved = f"{huge['percent_saved']:.2f} %" if huge["optimizable"] else "nothing"
    return (
        format_size(huge["size"]),
        by,
        pages,
        f"{huge['frames_saved']}",
        format_size(huge["bytes_saved"]) if huge["optimizable"] else "0",
        saved,
    )


# protections


def _protections(architecture: Architecture) -> str:
    """Return the raw bits of each protection without an address: the default, then each choice that changes them."""
    default = {mode.name: _raw(architecture.select(mode.name)) for mode in architecture.modes}
    rows: dict[tuple[str, ...], list[str]] = {}
    for words, targets in _choices(architecture):
        for target in targets:
            for role, row in _raw(target).items():
                if not words or row != default[target.mode.name][role]:
                    rows.setdefault((words or "default", *row), []).append(target.mode.name)
    count = len(architecture.modes)
    return table(
        ("choice", "protection", "used for", "level", "raw bits", "fields that are set", "modes"),
        [(*row, "all" if len(modes) == count else ", ".join(map(code, modes))) for row, modes in rows.items()],
    )


def _choices(architecture: Architecture) -> Iterator[tuple[str, list[Target]]]:
    """Return each choice other than the mode, as text, with its target in each mode that has it."""
    modes = [mode.name for mode in architecture.modes]
    yield "", [architecture.select(mode) for mode in modes]
    for profile in architecture.profiles[1:]:
        yield f"`--profile {profile}`", [architecture.select(mode, profile=profile) for mode in modes]
    for release in architecture.releases[1:]:
        yield f"`--release {release}`", [architecture.select(mode, release=release) for mode in modes]
    for feature in architecture.features:
        having = feature.modes or modes
        yield f"`--feature {feature.name}`", [architecture.select(mode, features=(feature.name,)) for mode in having]


def _raw(target: Target) -> dict[PgprotRole, tuple[str, ...]]:
    """Return name, use, level, raw bits and fields of each protection."""
    rows: dict[PgprotRole, tuple[str, ...]] = {}
    for role, pgprot in target.pgprots:
        level = first_level(target, role)
        raw = target.bits(level, role)
        kind = EntryKind.TABLE if role is PgprotRole.TABLE else EntryKind.LEAF
        form = target.mode.format.form(level, kind)
        chosen = [(field.name, field.get(raw)) for field in form.fields]
        fields = " ".join(name if value == 1 else f"{name}={value:#x}" for name, value in chosen if value)
        rows[role] = (code(pgprot.name), _USES[role], level, code(f"{raw:#018x}"), code(fields))
    return rows


# behavior


def _behavior(architecture: Architecture) -> str:
    traits = architecture.traits
    rows = [
        (
            f"profile `{profile}`",
            "a store to a tail faults"
            if architecture.select(profile=profile).tails_fault
            else "a store to a tail lands: tails stay writable",
        )
        for profile in architecture.profiles
    ]
    rows += [
        ("a live entry", traits.live_entries.value),
        ("an entry of the vmemmap is replaced", traits.entry_update.value),
        ("memory order", traits.memory_order.value),
        ("`flush_tlb_all()`", "flushes" if traits.flush_all_effective else "flushes nothing"),
        (
            "a compare-and-swap that fails",
            "needs write permission all the same"
            if traits.compare_and_swap_needs_write
            else "needs no write permission",
        ),
        ("kernel releases", ", ".join(map(code, architecture.offered))),
    ]
    rows += [
        (f"release `{change.release}`", f"{plain(change.summary)} ({plain(change.source)})")
        for change in architecture.changes
    ]
    rows += [(f"zone `{zone.name}`", f"ends at PA `{zone.limit:#x}`") for zone in architecture.zone_limits]
    if traits.source:
        rows.append(("source", plain(traits.source)))
    return table(("what", "how it is"), rows)
