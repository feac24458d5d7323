# SPDX-License-Identifier: GPL-2.0-only
"""Output of `hvolab pte` for people: facts about an entry, and the table of its bits."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from hvolab.arch import EntryKind
from hvolab.cli.entry_view import EntryView
from hvolab.cli.options import target_in_words
from hvolab.cli.output import labeled, table
from hvolab.units import format_size


def render(view: EntryView) -> Group:
    """Return the view as a heading, facts, and the table of its bits."""
    entry = view.entry
    digits = view.target.mode.format.entry_bits // 4 + 2
    heading = Text.assemble((f"{entry.raw:#0{digits}x}", "bold"), f"  {entry.level} ", (entry.kind.value, "bold"))
    heading.append(f"   {target_in_words(view.target)}", "dim")
    facts = labeled()
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
    entry, form = view.entry, view.entry.form
    if form is None:
        facts: list[tuple[str, Text | str]] = [("not valid", "a walk ends here with a translation fault")]
        if view.software is None:
            return [("not valid", f"{facts[0][1]}; the other bits are free for software")]
        pfn = "" if view.software_pfn is None else f"; PFN {view.software_pfn:#x}"
        return [*facts, ("kernel", Text.assemble((view.software.name, "bold"), f": {view.software.meaning}{pfn}"))]
    output = f"PFN {entry.pfn:#x}, PA {view.pa:#x}"
    facts = [("table in", output)]
    if form.kind is EntryKind.LEAF:
        low = view.target.mode.level(entry.level).shift
        from_va = f"; PA bits {form.shift - 1}:{low} are those of the VA" if form.shift > low else ""
        facts = [("maps", f"{output}, {format_size(view.maps)}{from_va}")]
    facts += [("pgprot", _pgprot_text(view)), ("kernel", _access_text(view))]
    return [*facts, *((name, "set" if is_set else f"clear: {effect}") for name, is_set, effect in view.flags)]


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
    for word, allowed in view.accesses.items():
        text.append(f"{word} ").append("yes" if allowed else "no", "green" if allowed else "red").append("   ")
    is_table = view.entry.kind is EntryKind.TABLE
    if is_table or any(permission.tables is not None for _, permission in view.target.mmu.permissions):
        text.append(f"unless {'another' if is_table else 'a table'} entry of the walk denies it", "dim")
    return text
