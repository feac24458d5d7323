# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab disasm`, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from hvolab.arch import Architecture, InstructionSequence
from hvolab.serialize import Hex
from hvolab_kernel.code.listing import Line, Listing, Reference, architecture_of
from hvolab_vmlinux.kernel import Kernel

_STEP = "write_entry"


@dataclass(frozen=True)
class InstructionData:
    """An instruction.

    code          its bytes, in hex
    references    VAs that it refers to
    stores_entry  the sign by which it stores a page-table entry; empty: it does not
    goes_to       the function that a call through `pv_ops` goes to in the unpatched image; empty for other instructions
    """

    va: Hex
    code: str
    mnemonic: str
    operands: str
    references: tuple[Reference, ...]
    stores_entry: str
    goes_to: str


@dataclass(frozen=True)
class SequenceData:
    """Instruction sequence that an architecture's plugin declares for a step, and the effect of the step."""

    step: str
    assembly: str
    effect: str


@dataclass(frozen=True)
class ListingReport:
    """Result of `hvolab disasm`.

    kernel           release of the image
    machine          ELF machine
    size             bytes of the function
    prototype        as BTF declares it; empty where it does not
    entry_stores     VAs of the instructions that may store page-table entries
    plugin_sequence  the plugin's sequence that stores an entry; None: no plugin declares one
    """

    kernel: str
    machine: str
    function: str
    va: Hex
    size: int
    prototype: str
    instructions: tuple[InstructionData, ...]
    entry_stores: tuple[Hex, ...]
    plugin_sequence: SequenceData | None


def report_of(kernel: Kernel, listing: Listing) -> ListingReport:
    """Return a listing for JSON."""
    sequence = _sequence(architecture_of(kernel))
    return ListingReport(
        kernel=kernel.image.release,
        machine=kernel.image.machine,
        function=listing.function.name,
        va=listing.function.va,
        size=listing.function.end - listing.function.va,
        prototype=listing.prototype,
        instructions=tuple(map(_instruction, listing.lines)),
        entry_stores=tuple(line.instruction.va for line in listing.stores),
        plugin_sequence=None if sequence is None else SequenceData(sequence.step, sequence.text, sequence.effect),
    )


def _instruction(line: Line) -> InstructionData:
    one = line.instruction
    return InstructionData(
        one.va, one.code.hex(), one.mnemonic, one.text, line.references, line.stores_entry, line.goes_to
    )


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
