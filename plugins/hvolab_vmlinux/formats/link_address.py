# SPDX-License-Identifier: GPL-2.0-only
"""Link address of a flat image, which its header does not have.

One of these shows it:

1. `kallsyms_relative_base`, the VA of the lowest symbol, where the file has its value.
2. The relocation that fills it in, where the file has 0.
3. Pointers: with the offsets of symbols known, the right base makes most pointers in the image addresses of symbols.

The banner ("Linux version …") is the check: the symbol `linux_banner` has to be at its text.
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
from hvolab_vmlinux.symbols.table import SymbolTable

_BANNER: Final = re.compile(rb"Linux version ([0-9]+\.[^\s\0]{1,80}) \(")
#: Images of arm64 and riscv are linked at multiples of 2 MiB.
_ALIGNMENT_BITS: Final = 21
_ALIGNMENT: Final = 1 << _ALIGNMENT_BITS
_MASK: Final = (1 << 64) - 1
_KERNEL_HALF: Final = 1 << 63
_SAMPLE: Final = 20_000
#: Number of the most frequent targets of pointers, in blocks of 2 MiB, that are tried as the image's own.
_FREQUENT: Final = 16


def release_of(content: bytes) -> str:
    """Return the release in the first banner; empty without a banner."""
    found = _BANNER.search(content)
    return found[1].decode("latin-1") if found else ""


def base_by_banner(content: bytes, banner: int) -> int | None:
    """Return the link VA of a flat image's first byte, for `linux_banner` at VA `banner`; None where no text fits."""
    starts = {banner - found.start() for found in _BANNER.finditer(content)}
    fitting = [start for start in starts if start >= _KERNEL_HALF and start % _ALIGNMENT == 0]
    return fitting[0] if len(fitting) == 1 else None


def link_base(
    content: bytes, memory_size: int, kallsyms: Kallsyms, relocations: Relocations, where: str
) -> tuple[int, SymbolTable]:
    """Return the link VA of a flat image's first byte, and its symbols.

    Raises KernelImageError where the image does not show its link address, or contradicts itself.
    """
    base: int | None = None
    if kallsyms.base is None:
        base = _by_pointers(content, memory_size, kallsyms.addresses(kallsyms.table_at), relocations, where)
        symbols = kallsyms.symbols(base + kallsyms.table_at)
    elif kallsyms.base:
        symbols = kallsyms.symbols(kallsyms.base)
    else:
        base, lowest = _by_relocation(kallsyms, relocations, where)
        symbols = kallsyms.symbols(lowest)
    banner = symbols.address("linux_banner")
    if base is None:
        base = base_by_banner(content, banner)
    if base is None or not _BANNER.match(content, max(banner - base, 0)):
        raise damaged(
            "kallsyms and the image's bytes contradict each other about the link address",
            where,
            "linux_banner is the address of the text 'Linux version'",
        )
    return base, symbols


def _by_relocation(kallsyms: Kallsyms, relocations: Relocations, where: str) -> tuple[int, int]:
    """Return the link base and the lowest symbol, by the relocation of `kallsyms_relative_base`."""
    # its place is the base plus the pointer's offset; its value, the lowest symbol, is in the image's first pages
    starts = relocations.places - np.uint64(kallsyms.base_at or 0)
    gaps = relocations.values - starts
    fits = np.flatnonzero((gaps < 1 << 16) & (starts % np.uint64(_ALIGNMENT) == 0))
    if len(fits) != 1:
        raise _unknown(
            f"{where}, byte {kallsyms.base_at:#x}",
            "an image whose kallsyms_relative_base is 0 in the file has a relocation for it",
        )
    return int(starts[fits[0]]), int(relocations.values[fits[0]])


def _by_pointers(
    content: bytes, memory_size: int, relative: NDArray[np.uint64], relocations: Relocations, where: str
) -> int:
    """Return the base with which most pointers are addresses of symbols; `relative` has those for base 0."""
    pointers = relocations.values
    if not len(pointers):
        words = np.frombuffer(content, "<u8", len(content) // 8)
        # in the upper half's last 2^47 or 2^57 bytes, and not a small negative number
        pointers = words[(words >= np.uint64(0xFF000000_00000000)) & (words < np.uint64(0xFFFFFFFF_F0000000))]
    sample = pointers[:: max(1, len(pointers) // _SAMPLE)]
    known = np.unique(relative)
    blocks, counts = np.unique(sample >> np.uint64(_ALIGNMENT_BITS), return_counts=True)
    frequent = blocks[np.argsort(counts)[-_FREQUENT:]]
    reach = np.arange((len(content) >> _ALIGNMENT_BITS) + 1, dtype=np.uint64)
    scores = [(0, 0), (0, 0)]
    for block in np.unique((frequent[:, None] - reach[None, :]).ravel()).tolist():
        base = block << _ALIGNMENT_BITS & _MASK
        offsets = sample - np.uint64(base)  # pointers below the base wrap around
        offsets = offsets[offsets < memory_size]
        indices = np.minimum(np.searchsorted(known, offsets), len(known) - 1)
        scores.append((int((known[indices] == offsets).sum()), base))
    second, best = sorted(scores)[-2:]
    # by chance one pointer in forty is the address of a symbol; with the right base at least one in six is
    if best[0] <= len(sample) // 10 or best[0] <= 2 * second[0]:
        raise _unknown(where, "few pointers in it become addresses of symbols, with any base")
    return best[1]


def _unknown(where: str, rule: str) -> KernelImageError:
    return KernelImageError(
        "cannot determine the link address of the image",
        where=where,
        rule=rule,
        hint="name the vmlinux of the same build, whose ELF headers have it",
    )
