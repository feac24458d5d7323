"""Where a flat image is linked. Its header does not tell; three things in the image do.

1. `kallsyms_relative_base`, where it stands in the file: the VA of the lowest symbol.
2. The relocation that fills it in, where it does not.
3. Pointers: with symbols' offsets known, the right base turns most pointers in the image into addresses of symbols.

The banner ("Linux version …") is the check: `linux_banner` has to be where the text is.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.binary import damaged
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.formats.relocations import Relocations
from hvolab_vmlinux.symbols.kallsyms import Kallsyms

_BANNER: Final = re.compile(rb"Linux version ([0-9]+\.[^\s\0]{1,80}) \(")
_BANNER_SYMBOL: Final = b"linux_banner"
#: arm64 and riscv images are linked at multiples of 2 MiB.
_ALIGNMENT_BITS: Final = 21
_MASK: Final = (1 << 64) - 1
_KERNEL_HALF: Final = 1 << 63
_SAMPLE: Final = 20_000
#: Of the blocks that pointers point into, so many are taken for the image's own.
_FREQUENT: Final = 16


def banners(content: bytes) -> dict[int, str]:
    """Where a banner stands in the content, and the release that each names."""
    return {found.start(): found[1].decode("latin-1") for found in _BANNER.finditer(content)}


def release_of(content: bytes) -> str:
    """The release that the first banner names, or an empty string."""
    found = _BANNER.search(content)
    return found[1].decode("latin-1") if found else ""


def base_by_banner(content: bytes, banner: int) -> int | None:
    """Link VA of a flat image's first byte, when `linux_banner` is at VA `banner`; None where no text is in place."""
    starts = {banner - offset for offset in banners(content)}
    fitting = [start for start in starts if start >= _KERNEL_HALF and start % (1 << _ALIGNMENT_BITS) == 0]
    return fitting[0] if len(fitting) == 1 else None


def link_base(
    content: bytes, memory_size: int, kallsyms: Kallsyms, relocations: Relocations, where: str
) -> tuple[int, NDArray[np.uint64]]:
    """Link VA of a flat image's first byte, and the addresses of its symbols.

    Raises KernelImageError where the image does not tell, or contradicts itself.
    """
    banner = _banner_index(kallsyms)
    if kallsyms.base is not None:
        base, addresses = _by_relative_base(kallsyms, relocations, where)
        if base is None:  # the file has the relative base itself: the banner tells where the image starts
            base = base_by_banner(content, int(addresses[banner]))
            if base is None:
                raise _contradiction(where)
            return base, addresses
    else:
        relative = kallsyms.addresses(kallsyms.table_at)
        base = _by_pointers(content, memory_size, relative, relocations)
        if base is None:
            raise KernelImageError(
                "the image does not tell where it is linked",
                where=where,
                rule="few pointers in it become addresses of symbols, whatever the base",
                hint="name the vmlinux of the same build: its ELF headers tell",
            )
        addresses = relative + np.uint64(base)
    if int(addresses[banner]) - base not in banners(content):
        raise _contradiction(where)
    return base, addresses


def _by_relative_base(
    kallsyms: Kallsyms, relocations: Relocations, where: str
) -> tuple[int | None, NDArray[np.uint64]]:
    """Link base, where a relocation tells it, and addresses."""
    if kallsyms.base:
        return None, kallsyms.addresses(kallsyms.base)
    if kallsyms.base_at is None:
        raise _contradiction(where)
    # the place is the base plus where the pointer stands; the value, the lowest symbol, is in the image's first pages
    starts = relocations.places - np.uint64(kallsyms.base_at)
    gaps = relocations.values - starts
    fits = np.flatnonzero((gaps < 1 << 16) & (starts % np.uint64(1 << _ALIGNMENT_BITS) == 0))
    if len(fits) != 1:
        raise KernelImageError(
            "the image does not tell where it is linked: nothing relocates kallsyms_relative_base",
            where=f"{where}, byte {kallsyms.base_at:#x}",
            rule="an image whose kallsyms_relative_base is 0 in the file relocates it when it starts",
            hint="name the vmlinux of the same build: its ELF headers tell",
        )
    chosen = int(fits[0])
    return int(starts[chosen]), kallsyms.addresses(int(relocations.values[chosen]))


def _by_pointers(
    content: bytes, memory_size: int, relative: NDArray[np.uint64], relocations: Relocations
) -> int | None:
    """The base by which most pointers point at symbols."""
    pointers = relocations.values
    if not len(pointers):
        words = np.frombuffer(content, "<u8", len(content) // 8)
        # in the upper half's last 2^47 or 2^57 bytes, and no small negative number
        pointers = words[(words >= np.uint64(0xFF000000_00000000)) & (words < np.uint64(0xFFFFFFFF_F0000000))]
    if not len(pointers):
        return None
    sample = pointers[:: max(1, len(pointers) // _SAMPLE)]
    known = np.unique(relative)
    blocks, counts = np.unique(sample >> np.uint64(_ALIGNMENT_BITS), return_counts=True)
    frequent = blocks[np.argsort(counts)[-_FREQUENT:]]
    reach = np.arange((len(content) >> _ALIGNMENT_BITS) + 1, dtype=np.uint64)
    candidates = np.unique((frequent[:, None] - reach[None, :]).ravel())
    scores = []
    for block in candidates.tolist():
        base = block << _ALIGNMENT_BITS & _MASK
        offsets = sample - np.uint64(base)  # what lies below the base wraps around
        offsets = offsets[offsets < memory_size]
        indices = np.minimum(np.searchsorted(known, offsets), len(known) - 1)
        hits = int((known[indices] == offsets).sum())
        scores.append((hits, base))
    best, second = (sorted(scores, reverse=True) + [(0, 0)] * 2)[:2]
    # by chance one pointer in forty points at a symbol; by right at least one in six does
    return best[1] if best[0] > len(sample) // 10 and best[0] > 2 * second[0] else None


def _banner_index(kallsyms: Kallsyms) -> int:
    text = kallsyms.names.text
    at = text.find(b"\0" + _BANNER_SYMBOL + b"\0")
    if at < 0:
        raise damaged("kallsyms has no linux_banner", "kallsyms", "every kernel has that symbol")
    return text.count(b"\0", 0, at + 1)


def _contradiction(where: str) -> KernelImageError:
    return damaged(
        "kallsyms and the image's bytes disagree about where the image is linked",
        where,
        "linux_banner is where the text 'Linux version' is",
    )
