"""The errors that hvolab raises: one root, and one phrase each for what, where, rule and hint."""

from __future__ import annotations


class HvolabError(Exception):
    """Root of every error that hvolab raises on purpose.

    what    what was wrong, as a sentence without its full stop
    where   where it was found: architecture, mode, level, VA, PFN, entry in hex, file and offset
    rule    which rule it breaks: manual section, kernel file, or hvolab's own
    hint  what the user can do about it
    """

    def __init__(self, what: str, *, where: str = "", rule: str = "", hint: str = "") -> None:
        super().__init__(what)
        self._what = what
        self._where = where
        self.rule = rule
        self.hint = hint

    @property
    def what(self) -> str:
        """What was wrong."""
        return self._what

    @property
    def where(self) -> str:
        """Where it was found; empty where nothing is to be said."""
        return self._where

    def __str__(self) -> str:
        titles = (("", self.what), ("where: ", self.where), ("rule: ", self.rule), ("hint: ", self.hint))
        return "; ".join(title + text for title, text in titles if text)

    def as_dict(self) -> dict[str, str]:
        """The parts of the error by name, empty ones left out, for JSON output."""
        parts = {"what": self.what, "where": self.where, "rule": self.rule, "hint": self.hint}
        return {name: text for name, text in parts.items() if text}


class UsageError(HvolabError):
    """A wrong option or argument: an unknown architecture, mode, size or name."""


class DescriptionError(HvolabError):
    """An architecture description that contradicts itself."""


class EncodingError(HvolabError):
    """A page-table entry that is reserved, illegal or cannot be encoded."""


class AbsentMemoryError(HvolabError):
    """An access to physical memory that the machine does not have, or that a core does not hold."""


class OwnershipError(HvolabError):
    """A frame that is used against its owner: freed twice, freed while reserved, handed out twice."""


class MachineError(HvolabError):
    """A machine that cannot be built or brought into the state asked for: too little memory, overlapping ranges."""


class CoreFileError(HvolabError):
    """A core file that cannot be read: truncated, garbled, not a core, or without what is needed."""


class PluginError(HvolabError):
    """A plugin that cannot be imported, raises, clashes or declares nonsense."""


class KernelBug(HvolabError):  # noqa: N818 - the kernel's own word for it
    """Where the modeled kernel code would stop with BUG() or BUG_ON()."""
