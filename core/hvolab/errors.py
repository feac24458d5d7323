# SPDX-License-Identifier: GPL-2.0-only
"""Errors that hvolab raises: one root, and one phrase each for what, where, rule and hint.

Each kind has a code that messages print and docs/errors.md explains. The first paragraph of its docstring is the
cause, the last one the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

_WORD = re.compile("[A-Z][a-z]+")


def close_names(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return the known names that are spelled nearly as `name`, in either case, the nearest first, for a hint."""
    import difflib  # noqa: PLC0415 - only a hint needs it

    folded = {text.casefold(): text for text in known}
    return [folded[text] for text in difflib.get_close_matches(name.casefold(), folded, most)]


def choice_hint(name: str, known: Iterable[str], nothing: str = "none") -> str:
    """Return the hint about a name that does not exist: the names spelled nearly so, and all that exist.

    nothing  what to choose where no name exists
    """
    known = list(known)
    near = close_names(name, known, 2)
    guess = f"did you mean {' or '.join(map(repr, near))}?; " if near else ""
    return f"{guess}choose one of {', '.join(known) or nothing}"


class HvolabError(Exception):
    """Root of every error that hvolab raises on purpose.

    what   the fault with the wrong value, as a sentence without its full stop
    where  architecture, mode, level, VA, PFN, entry in hex, file and offset
    rule   the broken rule: manual section, kernel file, or hvolab's own
    hint   an action that avoids the error
    """

    #: Stable name of the kind, printed with every message: ``core-file`` of CoreFileError.
    code: ClassVar[str] = "error"
    #: Whether the error is a finding about the modeled kernel code, and not about options or input.
    is_finding: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = "-".join(_WORD.findall(cls.__name__.removesuffix("Error"))).lower()

    def __init__(self, what: str, *, where: str = "", rule: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.where, self.rule, self.hint = where, rule, hint

    @property
    def what(self) -> str:
        """The fault."""
        return str(self.args[0])

    @property
    def parts(self) -> dict[str, str]:
        """The parts other than the fault by name, empty ones left out."""
        parts = {"where": self.where, "rule": self.rule, "hint": self.hint}
        return {name: text for name, text in parts.items() if text}

    def __str__(self) -> str:
        return "; ".join([self.what, *(f"{name}: {text}" for name, text in self.parts.items())])


class UsageError(HvolabError):
    """An option or argument is wrong: an unknown architecture, mode, size or name.

    Use a name or value that the hint offers; `--help` lists the options, `hvolab arches` the names.
    """


class DescriptionError(HvolabError):
    """An architecture's description contradicts itself, or overrides a field that does not exist.

    Correct the description in the plugin that the message names; `hvolab conformance ARCH` tests it.
    """


class EncodingError(HvolabError):
    """A page-table entry is reserved or illegal, or the values do not fit into one.

    Compare the entry with the manual section in the message; if a feature makes it legal, add `--feature`.
    """


class AbsentMemoryError(HvolabError):
    """An access reaches a PA without memory: outside of the machine's RAM, or not in the dump.

    Give the machine more memory with `--memory`, or dump more of the memory.
    """


class OwnershipError(HvolabError):
    """A frame is freed twice, freed while reserved, or allocated twice.

    This is a finding about the modeled kernel code: compare the frame's state in the message with the kernel's.
    """

    is_finding = True


class MachineError(HvolabError):
    """A machine cannot be built or brought into the requested state: too little memory, overlapping ranges.

    Change `--memory`, `--hugepages` or `--nodes`, or the MachineSpec, as the hint proposes.
    """


class CoreFileError(HvolabError):
    """A core file cannot be read: it is truncated, damaged, not a core, or incomplete.

    Copy or dump it again, with the page types and notes that the message names.
    """


class PluginError(HvolabError):
    """A plugin cannot be imported, raises, clashes with another or declares something invalid.

    Repair, update or uninstall the distribution in the message; without `HVOLAB_STRICT` hvolab continues without it.
    """


class KernelBug(HvolabError):  # noqa: N818 - the kernel's own word for it
    """The modeled kernel code stops with BUG() or BUG_ON().

    This is a finding about the modeled kernel code: see the function and the condition in the message. `va` is the VA
    of the struct page or list at fault, None for none.
    """

    is_finding = True

    def __init__(self, what: str, *, where: str = "", rule: str = "", hint: str = "", va: int | None = None) -> None:
        super().__init__(what, where=where, rule=rule, hint=hint)
        self.va = va


class EngineError(HvolabError):
    """An HVO engine ends in a fault or an exception, in a command that has no list of findings.

    This is a finding about the engine: the message has the function and what it did. `hvolab run` with the same engine
    names the folio and the rules that were broken before.
    """

    is_finding = True


class CheckError(HvolabError):
    """A check of the conformance kit fails, or the process that makes the checks ends before all have a result.

    Compare the description with the reference in the message; the hint names the command that runs one check by itself.
    """
