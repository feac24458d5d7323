# SPDX-License-Identifier: GPL-2.0-only
"""Errors about a kernel image, its symbols and its type information."""

from __future__ import annotations

from hvolab.errors import HvolabError, UsageError


class KernelImageError(HvolabError):
    """A kernel image cannot be read: it is truncated, damaged, of an unknown format, or lacks required information.

    Fetch it again, or use the file that the hint names: another package, or the vmlinux with symbols.
    """


class SymbolError(HvolabError):
    """The kernel lacks a symbol, or several symbols have the name.

    Use a kernel built with `CONFIG_KALLSYMS_ALL`, or its debug information, or the address of the symbol.
    """


class ObjectFileError(HvolabError):
    """A relocatable object does not fit the kernel image: another machine, release or configuration, or a relocation.

    Compile the file with the headers of the image's own release and configuration: `hvolab build`.
    """


class TypeInfoError(HvolabError):
    """The kernel's BTF lacks a type or member, or is damaged.

    Use a kernel built with `CONFIG_DEBUG_INFO_BTF` that has the type.
    """


def missing_library(library: str, purpose: str, *, extra: str = "kernel") -> HvolabError:
    """Return the error for an optional library that is not installed."""
    return UsageError(
        f"{purpose} needs the Python package {library}, which is not installed",
        hint=f"install the extra: pip install 'hvolab[{extra}]'",
    )
