# SPDX-License-Identifier: GPL-2.0-only
"""Link of a developer's mm/hugetlb_vmemmap.o over the kernel of an image, in place of the image's own HVO."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hvolab_kernel.code.hvo_functions import hvo_functions
from hvolab_kernel.code.stubs import outside_calls
from hvolab_kernel.objects.same_code import same_functions
from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.objects.elf_object import RelocatableObject, read_object
from hvolab_vmlinux.objects.overlay import Overlay, overlay, types_of
from hvolab_vmlinux.open import open_kernel
from hvolab_vmlinux.types.btf import Types
from hvolab_vmlinux.types.layered import differing_structs

#: Structs that only mm/hugetlb_vmemmap.c has: those of the object count. Kernel: v6.12, v7.2.
PRIVATE_STRUCTS: Final = frozenset({"vmemmap_remap_walk"})
#: The static key that counts optimized folios. Its branches only make the kernel look for a fake head, which it may do
#: at any time, so that they are enabled at all times.
_KEY: Final = "hugetlb_optimize_vmemmap_key"
#: Functions of one file are nearer to each other than this number of bytes.
_NEAR: Final = 1 << 16
#: Structs that an error names.
_NAMED: Final = 3


@dataclass(frozen=True, eq=False)
class LinkedHvo:
    """A kernel with a developer's HVO.

    kernel   the kernel with the object: for everything that takes a kernel
    overlay  what was linked
    calls    functions outside of HVO that the object calls and the image's HVO does not
    same     functions whose code is that of the image
    drift    a sentence for each struct that differs from the image's; None: object or image has no types
    """

    kernel: Kernel
    overlay: Overlay
    calls: tuple[str, ...]
    same: tuple[str, ...]
    drift: tuple[str, ...] | None

    @property
    def unchanged(self) -> bool:
        """True if all the object's functions have the code of the image's."""
        functions = {symbol.name for _, symbol in self.overlay.linked.defined if symbol.function}
        return bool(self.same) and functions <= set(self.same)


def link_object(kernel: Kernel, path: Path, *, check: bool = True) -> LinkedHvo:
    """Link the object at a path over a kernel.

    check  raise an error for structs that differ

    Raises ObjectFileError for an object of another machine, release or configuration, KernelImageError for a file that
    cannot be read or a kernel without symbols.
    """
    one = read_object(path)
    if one.machine != kernel.image.machine:
        raise ObjectFileError(
            f"the object is of {one.machine}, the image of {kernel.image.machine}",
            where=f"{path}, byte 18 (e_machine)",
            hint="compile the file for the image: hvolab build",
        )
    drift = _drift(kernel, one)
    if check and drift:
        more = f", and {len(drift) - _NAMED} more" if len(drift) > _NAMED else ""
        raise ObjectFileError(
            f"{len(drift)} structs of the object differ from the image's: {' | '.join(drift[:_NAMED])}{more}",
            where=str(path),
            rule=f"an object has the structs of the image, {kernel.image.release}, as its file is compiled with it",
            hint="compile the file with the headers and configuration of the image: hvolab build",
        )
    made = overlay(kernel, one, old_text(kernel, one), own_types=_private(one), live_keys=(_KEY,))
    own = {symbol.name for _, symbol in made.linked.defined}
    before = {*outside_calls(kernel), *own}
    calls = tuple(name for name in outside_calls(made.kernel) if name not in before)
    return LinkedHvo(made.kernel, made, calls, same_functions(kernel, made), drift)


def _private(one: RelocatableObject) -> frozenset[str]:
    return PRIVATE_STRUCTS if one.section(".BTF") is not None else frozenset()


def _drift(kernel: Kernel, one: RelocatableObject) -> tuple[str, ...] | None:
    index = types_of(one)
    if index is None or kernel.btf is None:
        return None
    return differing_structs(kernel.types, Types(index), PRIVATE_STRUCTS)


def old_text(kernel: Kernel, one: RelocatableObject) -> tuple[int, int]:
    """Return first VA and end of the image's own copy of the file; both 0 for a kernel without HVO.

    The functions of a file are next to each other, as kernels are built without sections for each function. Those with
    names of HVO mark the place; others with names that the object has too extend it.
    """
    symbols = kernel.symbols
    marks = sorted(va for name in hvo_functions(kernel) for va in symbols.all(name) if ".cold" not in name)
    if not marks:
        return 0, 0
    middle = marks[len(marks) // 2]
    names = {symbol.name for symbol in one.symbols if symbol.function and symbol.section}
    others = [va for name in names for va in symbols.all(name)]
    near = sorted(va for va in (*marks, *others) if abs(va - middle) < _NEAR)
    return near[0], symbols.end(near[-1]) or near[-1]


def open_linked(image: Path, path: Path, *, use_cache: bool = True) -> LinkedHvo:
    """Open an image and link an object over it; raises as `open_kernel` and `link_object` do."""
    return link_object(open_kernel(image, use_cache=use_cache), path)
