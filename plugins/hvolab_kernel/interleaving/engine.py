# SPDX-License-Identifier: GPL-2.0-only
"""The engine of `hvolab explore --engine kernel`: the HVO of an image, by names that other processes can use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from hvolab.errors import UsageError
from hvolab.hvo import EngineSetup
from hvolab.release import StructPageLayout
from hvolab_explorer.world.code import CodeWorld
from hvolab_kernel.comparison.setup import setup_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.interleaving.code import KernelCode
from hvolab_kernel.objects.link import open_linked
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel

_ASSUMPTIONS: Final = (
    "the kernel's code is preempted before instructions that touch what its CPUs share, and nowhere else",
    "a call that takes a spin lock is one step, and rw semaphores are the machine's",
    "a flush empties the whole TLB of a CPU that runs the kernel's code, and nothing else removes an entry",
)


@dataclass(frozen=True)
class KernelCodeEngine:
    """The HVO of a kernel image, with an object linked over it if there is one.

    release   that which the user names
    identity  release and hash of the image, and the hash of the object
    """

    image: Path
    object_file: Path | None
    release: str | None
    identity: str

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Sentences about a complete search of it, for a report."""
        return _ASSUMPTIONS

    @property
    def layout(self) -> StructPageLayout | None:
        """Struct page of the kernel."""
        return struct_page_layout(open_kernel(self.image))

    @property
    def setup(self) -> EngineSetup:
        """Requirements on the machine."""
        return setup_of(open_kernel(self.image), self.release)

    def load(self, world: CodeWorld) -> KernelCode:
        """Load it into a world."""
        return KernelCode(world, _opened(self.image, self.object_file))


@lru_cache(maxsize=1)
def _opened(image: Path, object_file: Path | None) -> Kernel:
    return open_kernel(image) if object_file is None else open_linked(image, object_file).kernel


def engine_of_image(image: Path | None, object_file: Path | None, release: str | None) -> KernelCodeEngine:
    """Return the engine of an image; raises UsageError without one, and as `open_kernel` and `link_object` do."""
    if image is None:
        raise UsageError("--engine kernel requires an image", hint="name a kernel image: --image FILE")
    kernel = open_kernel(image)
    _opened(image, object_file)  # an error in the object before anything runs
    identity = f"kernel {kernel.image.release} {kernel.image.digest}"
    if object_file is not None:
        try:
            content = object_file.read_bytes()
        except OSError as error:
            raise KernelImageError(f"{object_file} cannot be read: {error.strerror}") from error
        identity += f" object {hashlib.sha256(content).hexdigest()}"
    return KernelCodeEngine(image, object_file, release, identity)
