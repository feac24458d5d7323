# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab disasm`, for people and for programs."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from hvolab.arch import Architecture, InstructionSequence
from hvolab_kernel.code.listing import Line, Listing, architecture_of
from hvolab_vmlinux.kernel import Kernel

_STEP = "write_entry"


def listing_data(kernel: Kernel, listing: Listing) -> dict[str, Any]:
    """Return a listing for JSON."""
    sequence = _sequence(architecture_of(kernel))
    return {
        "kernel": kernel.image.release,
        "machine": kernel.image.machine,
        "function": listing.function.name,
        "va": f"{listing.function.va:#x}",
        "size": listing.function.end - listing.function.va,
        "prototype": listing.prototype,
        "instructions": [_line_data(line) for line in listing.lines],
        "entry_stores": [f"{line.instruction.va:#x}" for line in listing.stores],
        "plugin_sequence": None
        if sequence is None
        else {"step": sequence.step, "assembly": sequence.text, "effect": sequence.effect},
    }


def _line_data(line: Line) -> dict[str, Any]:
    one = line.instruction
    data: dict[str, Any] = {
        "va": f"{one.va:#x}",
        "code": one.code.hex(),
        "mnemonic": one.mnemonic,
        "operands": one.text,
        "references": [{"va": f"{found.va:#x}", "code": found.code, "is": found.words} for found in line.references],
    }
    if line.stores_entry:
        data["stores_entry"] = line.stores_entry
        if line.goes_to:
            data["goes_to"] = line.goes_to
    return data


def listing_text(kernel: Kernel, listing: Listing) -> Text:
    """Return a listing for people: offset, instruction and references; stores of entries are marked."""
    function = listing.function
    text = Text(no_wrap=True, overflow="ignore")
    text.append(function.name, "bold").append(
        f"  {function.va:#x}, {function.end - function.va} bytes, {kernel.image.release}\n"
    )
    if listing.prototype:
        text.append(f"{listing.prototype}\n", "dim")
    text.append("\n")
    width = len(f"{function.end - function.va:x}") + 1
    for line in listing.lines:
        one = line.instruction
        marked = bool(line.stores_entry)
        text.append("▶ " if marked else "  ", "bold red")
        text.append(f"+{one.va - function.va:<{width}x}", "dim")
        text.append(f" {one.mnemonic:<10} ", "bold" if marked else "cyan")
        text.append(one.text, "bold" if marked else "")
        for found in line.references:
            text.append(f"  ; {found.words}", "green" if found.code else "yellow")
        text.append("\n")
    text.append("\n")
    text.append_text(_stores_text(kernel, listing))
    return text


def _stores_text(kernel: Kernel, listing: Listing) -> Text:
    text = Text()
    if not listing.stores:
        text.append("no instruction stores a page-table entry\n", "dim")
    for line in listing.stores:
        offset = line.instruction.va - listing.function.va
        text.append("▶ ", "bold red").append(f"+{offset:x} may store an entry: {line.stores_entry}")
        text.append(f", which goes to {line.goes_to} in the unpatched image\n" if line.goes_to else "\n")
    architecture = architecture_of(kernel)
    sequence = _sequence(architecture)
    if sequence is not None:
        text.append(f"the plugin's sequence for {sequence.step}: ").append(sequence.text, "bold")
        text.append(f" ({sequence.effect})\n" if sequence.effect else "\n")
    elif architecture is not None:
        text.append(f"the plugin {architecture.name} declares no sequence for {_STEP}\n", "dim")
    else:
        text.append(f"no plugin describes {kernel.image.machine}\n", "dim")
    text.rstrip()
    return text


def _sequence(architecture: Architecture | None) -> InstructionSequence | None:
    if architecture is None or architecture.emulation is None:
        return None
    return architecture.emulation.sequence(_STEP)
