"""A kernel, read: its image, its symbols and its types, and what it lacks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.image import KernelImage
from hvolab_vmlinux.symbols.table import SymbolOffset, SymbolTable
from hvolab_vmlinux.types.btf import Types

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Timing:
    """What a step of opening a kernel took, in seconds of wall time."""

    step: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel.

    image       its segments
    table       its symbols; None where it has none
    btf         its type information; None where it has none
    btf_starts  where each type stands in that
    lacks       what it does not have, in a sentence each
    timings     what each step of opening it took
    """

    image: KernelImage
    table: SymbolTable | None
    btf: bytes | None
    btf_starts: NDArray[np.uint32] | None
    lacks: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = ()

    @property
    def symbols(self) -> SymbolTable:
        """The symbols; KernelImageError where the kernel has none."""
        if self.table is None:
            raise self._missing("symbols", "name the vmlinux of the same build, which has a symbol table")
        return self.table

    @functools.cached_property
    def types(self) -> Types:
        """The types; KernelImageError where the kernel has none."""
        if self.btf is None:
            raise self._missing("type information (BTF)", "name a kernel that was built with DEBUG_INFO_BTF")
        return Types(self.btf, self.btf_starts)

    def describe(self, va: int) -> str:
        """A VA in words: symbol and offset, or the VA in hex where it is not the image's."""
        if self.table is None or self.image.segment_of(va) is None:
            return f"{va:#x}"
        place: SymbolOffset | None = self.table.at(va)
        return f"{va:#x}" if place is None else str(place)

    def _missing(self, what: str, hint: str) -> KernelImageError:
        return KernelImageError(
            f"the kernel {self.image.release or self.image.digest[:12]} has no {what}",
            where=", ".join(self.image.layers),
            rule="; ".join(self.lacks),
            hint=hint,
        )


def cached_per_kernel(find: Callable[[Kernel], _Found]) -> Callable[[Kernel], _Found]:
    """Have a function find once what it finds of a kernel, for as long as that kernel is in use."""
    known: WeakKeyDictionary[Kernel, _Found] = WeakKeyDictionary()

    @functools.wraps(find)
    def found(kernel: Kernel) -> _Found:
        """What was found before, or is found now."""
        if kernel not in known:
            known[kernel] = find(kernel)
        return known[kernel]

    return found
