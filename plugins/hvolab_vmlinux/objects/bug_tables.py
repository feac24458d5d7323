# SPDX-License-Identifier: GPL-2.0-only
"""The table of BUG() and WARN() of a kernel and of an object that is linked over it, as one.

Kernel: struct bug_entry in include/asm-generic/bug.h, v6.12.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hvolab.arithmetic import round_up
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.objects.linker import LinkedObject

_ENTRY: Final = "bug_entry"
_BOUNDS: Final = ("__start___bug_table", "__stop___bug_table")
#: Members that are distances from themselves, as most kernels have them.
_DISTANCES: Final = ("bug_addr_disp", "file_disp", "format_disp")
_SECTION: Final = "__bug_table"
_ALIGNMENT: Final = 16


def append_bug_tables(kernel: Kernel, linked: LinkedObject) -> tuple[tuple[str, int], ...]:
    """Append both tables, the kernel's first, to the object's bytes; return names and VAs of the bounds.

    Distances from an entry are corrected for its new place. Empty where the kernel has no such table.
    """
    start, stop = map(kernel.symbols.find, _BOUNDS)
    layout = None if kernel.btf is None else kernel.types.find(_ENTRY)
    if start is None or stop is None or layout is None:
        return ()
    at = linked.base + round_up(len(linked.content), _ALIGNMENT)
    parts = [(start, kernel.image.read(start, (stop - start) // layout.size * layout.size))]
    own = linked.section(_SECTION)
    if own is not None:
        parts.append((own[0], linked.read(*own)))
    distances = [kernel.types.offset(_ENTRY, name) for name in _DISTANCES if kernel.types.has_member(_ENTRY, name)]
    joined = bytearray()
    for old, content in parts:
        rows = np.frombuffer(content, np.uint8)[: len(content) // layout.size * layout.size]
        rows = rows.reshape(-1, layout.size).copy()
        shift = old - (at + len(joined))
        for offset in distances:
            words = np.ascontiguousarray(rows[:, offset : offset + 4]).view("<i4").astype(np.int64) + shift
            rows[:, offset : offset + 4] = words.astype("<i4").view(np.uint8).reshape(-1, 4)
        joined += rows.tobytes()
    linked.content.extend(bytes(at - linked.end) + joined)
    return (_BOUNDS[0], at), (_BOUNDS[1], at + len(joined))
