"""Errors about a kernel image, its symbols and its type information."""

from __future__ import annotations

from hvolab.errors import HvolabError


class KernelImageError(HvolabError):
    """An unreadable kernel image: truncated, damaged, of an unknown format, or without required information."""


class SymbolError(HvolabError):
    """A symbol that the kernel lacks, or a name that several symbols have."""


class TypeInfoError(HvolabError):
    """A type or member that the kernel's BTF lacks, or a damaged BTF."""


def missing_library(library: str, purpose: str) -> HvolabError:
    """Return the error for an optional library that is not installed."""
    return HvolabError(
        f"{purpose} needs the Python package {library}, which is not installed",
        hint="install the extra: pip install 'hvolab[kernel]'",
    )
