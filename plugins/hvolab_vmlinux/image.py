"""A kernel image as it lies in memory: what each segment holds, at which VA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import KernelImageError

#: Where x86_64 kernels up to 6.14 link their per-CPU data: at zero, so that an offset from GS is a symbol's address.
#: Kernel: PERCPU_VADDR in arch/x86/kernel/vmlinux.lds.S, v6.12.
_PER_CPU_LIMIT = 1 << 32


@dataclass(frozen=True, eq=False)
class Segment:
    """One loadable segment.

    va           link VA of its first byte
    content      its bytes as loaded, relocated to its link VA; read-only
    memory_size  bytes of memory that it takes; what goes beyond the content starts as zero
    physical     physical address that the file names, 0 where it names none
    """

    va: int
    content: NDArray[np.uint8]
    memory_size: int
    physical: int = 0

    @property
    def end(self) -> int:
        """First VA behind it."""
        return self.va + self.memory_size

    @property
    def per_cpu(self) -> bool:
        """Whether it is the template of the per-CPU data, linked at zero, and not mapped where it is linked."""
        return self.va < _PER_CPU_LIMIT


@dataclass(frozen=True, eq=False)
class KernelImage:
    """A kernel image, unpacked.

    digest       SHA-256 of the file as given, in hex
    layers       what the file was wrapped in, outermost first
    machine      ELF machine: ``EM_X86_64``, ``EM_AARCH64``, ``EM_RISCV``
    release      the kernel's release, as ``6.12.107+deb13-amd64``; empty where the image does not tell
    base         lowest link VA that is mapped
    entry        where the boot loader jumps to, as the file has it
    segments     in the order of the file
    relocations  relative relocations that were applied
    """

    digest: str
    layers: tuple[str, ...]
    machine: str
    release: str
    base: int
    entry: int
    segments: tuple[Segment, ...]
    relocations: int = 0

    @property
    def memory_size(self) -> int:
        """Bytes from the base to the end of the last segment that is mapped."""
        return max((segment.end for segment in self.segments if not segment.per_cpu), default=self.base) - self.base

    def segment_of(self, va: int) -> Segment | None:
        """The segment that `va` lies in, or None."""
        return next((one for one in self.segments if one.va <= va < one.end), None)

    def read(self, va: int, size: int) -> bytes:
        """The `size` bytes at `va`, as they are before the kernel runs.

        Raises KernelImageError where they are not all in one segment.
        """
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
        """The little-endian number of `size` bytes at `va`; raises as `read` does."""
        return int.from_bytes(self.read(va, size), "little")


def read_only(content: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bytes as an array that nobody can write to."""
    array = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content
    array = array.view()
    array.flags.writeable = False
    return array
