"""What `hvolab pte` shows people: what follows from an entry, and the table of its bits."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hvolab.arch import EntryKind, Target
from hvolab.cli.entry_view import ACCESS_WORDS, EntryView
from hvolab.cli.options import target_in_words
from hvolab.cli.output import table
from hvolab.units import format_size


def render(view: EntryView) -> Group:
    """The view as a heading, what follows from the entry, and the table of its bits."""
    entry = view.entry
    digits = view.target.mode.format.entry_bits // 4 + 2
    heading = Text.assemble(
        (f"{entry.raw:#0{digits}x}", "bold"), f"  {entry.level} ", (entry.kind.value, "bold"), "   "
    )
    heading.append(target_in_words(view.target), "dim")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for label, text in _facts(view):
        facts.add_row(f"  {label}", text)
    if not view.bits:
        return Group(heading, facts)
    rows = table("bits", "field", "value", "meaning", right=("bits", "value"))
    for bits in view.bits:
        style = "dim" if not bits.value else "cyan" if bits.name == "address" else "bold"
        value = f"{bits.value:#x}" if bits.value > 9 else f"{bits.value}"
        rows.add_row(bits.span, bits.name, value, bits.meaning, style=style)
    return Group(heading, facts, Text(), rows)


def _facts(view: EntryView) -> list[tuple[str, Text | str]]:
    entry = view.entry
    if entry.kind is EntryKind.NONE:
        return [("not valid", "a walk ends here with a translation fault; the other bits are software's")]
    assert entry.pfn is not None  # noqa: S101 - a valid entry has one
    points = "maps" if entry.kind is EntryKind.LEAF else "table in"
    facts: list[tuple[str, Text | str]] = [
        (points, f"PFN {entry.pfn:#x}, PA {view.pa:#x}" + (f", {format_size(view.maps)}" if points == "maps" else ""))
    ]
    facts.append(("pgprot", _pgprot_text(view)))
    facts.append(("kernel", _access_text(view)))
    facts += [(name, "set" if is_set else f"clear: {note}") for name, is_set, note in view.flags]
    return facts


def _pgprot_text(view: EntryView) -> Text:
    if view.pgprots:
        return Text(" = ".join(view.pgprots), "bold")
    if view.elsewhere:
        return Text.assemble("none of these; it is ", (" or ".join(view.elsewhere), "bold yellow"))
    if view.nearest:
        return Text(f"none that is declared; near to {' or '.join(map(str, view.nearest))}")
    return Text("none that is declared")


def _access_text(view: EntryView) -> Text:
    text = Text()
    for word, access in ACCESS_WORDS:
        allowed = bool(view.allows & access)
        text.append(f"{word} ").append("yes" if allowed else "no", "green" if allowed else "red").append("   ")
    if view.entry.kind is EntryKind.TABLE:
        text.append("as far as this entry has a say", "dim")
    elif _tables_have_a_say(view.target):
        text.append("where the table entries on the way allow it", "dim")
    return text


def _tables_have_a_say(target: Target) -> bool:
    mmu = target.mmu
    return any(permission.tables is not None for permission in (mmu.read, mmu.write, mmu.execute))
