"""The errors that a kernel image, its symbols and its type information can give."""

from __future__ import annotations

from hvolab.errors import HvolabError


class KernelImageError(HvolabError):
    """A kernel image that cannot be read: truncated, damaged, unknown, or without what is needed."""


class SymbolError(HvolabError):
    """A symbol that the kernel does not have, or of which it has several."""


class TypeInfoError(HvolabError):
    """A type or member that the kernel's BTF does not have, or a BTF that contradicts itself."""


def missing_library(library: str, purpose: str) -> HvolabError:
    """The error for an optional library that is not installed."""
    return HvolabError(
        f"{purpose} needs the Python package {library}, which is not installed",
        hint="install the extra: pip install 'hvolab[kernel]'",
    )
