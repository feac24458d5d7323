# SPDX-License-Identifier: GPL-2.0-only
"""A kernel: image, symbols, types, and the information that it lacks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakKeyDictionary

from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.image import KernelImage
from hvolab_vmlinux.symbols.table import SymbolTable
from hvolab_vmlinux.types.btf import Types
from hvolab_vmlinux.types.index import TypeIndex
from hvolab_vmlinux.types.layered import LayeredTypes

_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class LinkedCode:
    """Code of an object that was linked over a kernel.

    before     the kernel without it; one without type information has the object's
    start, end  first VA of its text, and the end
    missing    functions that it refers to and that the kernel lacks; a trap is in the place of each
    source_of  returns `file:line` of the instruction at a VA; empty: unknown
    types      its type information, where the kernel has its own; None: it has none
    own_types  names of the structs that only the object's file uses: these are the object's
    """

    before: Kernel
    start: int
    end: int
    missing: tuple[str, ...]
    source_of: Callable[[int], str]
    types: TypeIndex | None
    own_types: frozenset[str]


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel.

    table    its symbols; None where it has none
    btf      its type information; None where it has none
    lacks    a sentence for each kind of information that it lacks
    timings  wall time of each step of opening it, in seconds
    linked   code that was linked over it; None: there is none
    """

    image: KernelImage
    table: SymbolTable | None
    btf: TypeIndex | None
    lacks: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    linked: LinkedCode | None = None

    @property
    def symbols(self) -> SymbolTable:
        """The symbols; raises KernelImageError where the kernel has none."""
        if self.table is None:
            raise self._missing("symbols", "name the vmlinux of the same build, which has a symbol table")
        return self.table

    @functools.cached_property
    def types(self) -> Types:
        """The types; raises KernelImageError where the kernel has none."""
        if self.btf is None:
            raise self._missing(
                "type information (BTF)",
                "name a kernel built with DEBUG_INFO_BTF, or add it to a vmlinux with DWARF: pahole -J vmlinux",
            )
        if self.linked is None or self.linked.types is None:
            return Types(self.btf)
        return LayeredTypes(self.btf, Types(self.linked.types), self.linked.own_types)

    def describe(self, va: int) -> str:
        """Return symbol and offset of a VA, or the VA in hex where it is not in the image."""
        symbol = None if self.table is None or self.image.segment_of(va) is None else self.table.at(va)
        return f"{va:#x}" if symbol is None else str(symbol)

    def _missing(self, what: str, hint: str) -> KernelImageError:
        return KernelImageError(
            f"the kernel {self.image.release or self.image.digest[:12]} has no {what}",
            where=", ".join(self.image.layers),
            rule="; ".join(self.lacks),
            hint=hint,
        )


def cached_per_kernel(function: Callable[[Kernel], _Result]) -> Callable[[Kernel], _Result]:
    """Return a function that computes its result once for each kernel, and keeps it as long as the kernel is in use."""
    results: WeakKeyDictionary[Kernel, _Result] = WeakKeyDictionary()

    @functools.wraps(function)
    def cached(kernel: Kernel) -> _Result:
        if kernel not in results:
            results[kernel] = function(kernel)
        return results[kernel]

    return cached
