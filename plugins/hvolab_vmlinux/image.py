# SPDX-License-Identifier: GPL-2.0-only
"""A kernel image in memory: the content of each segment, at its link VA."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hvolab.serialize import Hex
from hvolab_vmlinux.errors import KernelImageError

#: Limit of link VAs of per-CPU data. x86_64 links it at zero up to 6.14: a symbol's address is an offset from GS.
#: Kernel: PERCPU_VADDR in arch/x86/kernel/vmlinux.lds.S, v6.12.
_PER_CPU_LIMIT = 1 << 32


@dataclass(frozen=True, eq=False)
class Segment:
    """A loadable segment.

    va           link VA of its first byte
    content      its bytes as loaded, relocated to its link VA; read-only
    memory_size  its size in memory; the bytes beyond the content start as zero
    """

    also_in_data: ClassVar = ("content_size", "per_cpu")
    va: Hex
    content: NDArray[np.uint8] = field(metadata={"data": None})
    memory_size: int

    @property
    def content_size(self) -> int:
        """Bytes of its content."""
        return len(self.content)

    @property
    def end(self) -> int:
        """First VA after it."""
        return self.va + self.memory_size

    @property
    def per_cpu(self) -> bool:
        """True for the template of the per-CPU data, which is linked at zero and not mapped there."""
        return self.va < _PER_CPU_LIMIT


@dataclass(frozen=True, eq=False)
class KernelImage:
    """A kernel image, unpacked.

    digest       SHA-256 of the original file, in hex
    layers       formats of the file, outermost first
    machine      ELF machine: ``EM_X86_64``, ``EM_AARCH64``, ``EM_RISCV``
    release      the kernel's release, as ``6.12.107+deb13-amd64``; empty where the image has no banner
    entry        VA that the boot loader jumps to, as in the file
    segments     in the order of the file
    relocations  number of relative relocations that were applied
    """

    digest: str
    layers: tuple[str, ...]
    machine: str
    release: str
    entry: int
    segments: tuple[Segment, ...]
    relocations: int

    @functools.cached_property
    def base(self) -> int:
        """Lowest link VA that is mapped."""
        return min(segment.va for segment in self.segments if not segment.per_cpu)

    @property
    def memory_size(self) -> int:
        """Bytes from the base to the end of the last mapped segment."""
        return max(segment.end for segment in self.segments if not segment.per_cpu) - self.base

    def segment_of(self, va: int) -> Segment | None:
        """Return the segment that contains `va`, or None."""
        return next((one for one in self.segments if one.va <= va < one.end), None)

    def read(self, va: int, size: int) -> bytes:
        """Return `size` bytes at `va`, as before the kernel runs; raises KernelImageError beyond one segment."""
        segment = self.segment_of(va)
        if segment is None or size < 0 or va + size > segment.end:
            raise KernelImageError(
                f"{size} bytes at VA {va:#x} are not in the image",
                where=", ".join(f"{one.va:#x} to {one.end:#x}" for one in self.segments),
                rule="the image's loadable segments",
                hint="check the VA: modules, per-CPU copies and the direct map are not in an image",
            )
        offset = va - segment.va
        return segment.content[offset : offset + size].tobytes().ljust(size, b"\0")

    def word(self, va: int, size: int = 8) -> int:
        """Return the little-endian number of `size` bytes at `va`; raises as `read` does."""
        return int.from_bytes(self.read(va, size), "little")


def read_only(content: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the bytes as a read-only array."""
    array = np.frombuffer(content, np.uint8).view()
    array.flags.writeable = False
    return array
