# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab pte`: one page-table entry, decoded into its fields, or encoded from names."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli import options
from hvolab.cli.options import JsonOption


def pte(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENTRY|NAME",
            help="An entry to decode, in hex with 0x or in decimal. Or names to encode: a protection (PAGE_KERNEL_RO) "
            "and fields (RW, NX, PKEY=3; RW=0 clears a field of the protection).",
        ),
    ] = None,
    arch: options.ArchOption = None,
    mode: options.ModeOption = None,
    level: Annotated[
        str | None,
        typer.Option(
            "--level",
            "-l",
            metavar="NAME",
            help="Level of the entry; by default the last.",
            autocompletion=options.completion_by_architecture(
                lambda one: (level.name for mode in one.modes for level in mode.levels)
            ),
        ),
    ] = None,
    pfn: Annotated[
        str | None, typer.Option(metavar="PFN", help="Output PFN of an entry to encode; 0 by default.")
    ] = None,
    in_memory: Annotated[
        str | None,
        typer.Option(
            "--bytes", metavar="HEX", help="An entry to decode, as its bytes are in memory: two hex digits each."
        ),
    ] = None,
    profile: options.ProfileOption = None,
    release: options.ReleaseOption = None,
    feature: options.FeatureOption = None,
    json: JsonOption = False,
) -> None:
    """Decode a page-table entry into its fields, or encode one from names.

    hvolab pte 0x80000000054e4161

    hvolab pte --pfn 0x54e4 PAGE_KERNEL RW=0

    hvolab pte --bytes "61 41 4e 05 00 00 00 80"
    """
    from hvolab.cli.entry_report import render
    from hvolab.cli.entry_view import view_entry
    from hvolab.cli.entry_words import entry_from_bytes, entry_of, with_feature_hint
    from hvolab.cli.output import print_json, show

    target = options.select_target(arch, mode, profile, release, feature)
    at = target.mode.last.name if level is None else target.mode.level(level).name
    given = words or []
    if in_memory is not None:
        given = [*given, f"{entry_from_bytes(target, in_memory):#x}"]
    view = with_feature_hint(target, lambda target: view_entry(target, at, entry_of(target, at, given, pfn)))
    if json:
        print_json(view.data())
    else:
        show(render(view))
