# SPDX-License-Identifier: GPL-2.0-only
"""Static branches of an object, in the state that their keys have in the image.

Compilers leave each as a NOP or as a jump. At the link of a kernel objtool replaces jumps that are not taken (x86), and
at boot and later the kernel rewrites each branch whose key changes.
Kernel: struct jump_entry in include/linux/jump_label.h, jump_label_type() in kernel/jump_label.c, handle_jump_alt() in
tools/objtool/check.c, v6.12.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.linker import LinkedObject, machine_of

_TABLE: Final = "__jump_table"
#: Distances of code and target from their place in the entry, and of the key, whose two lowest bits are flags.
_ENTRY: Final = struct.Struct("<iiq")
_KEY_AT, _FLAGS, _LIKELY = 8, 3, 1


def set_branches(linked: LinkedObject, enabled: Callable[[int], bool]) -> int:
    """Write each static branch as the state of its key requires; return the number of branches that changed.

    enabled  returns the state of the static key at a VA

    Raises ObjectFileError for an instruction that is neither a NOP nor a jump.
    """
    place = linked.section(_TABLE)
    if place is None:
        return 0
    start, size = place
    changed = 0
    for at in range(start, start + size, _ENTRY.size):
        code, target, key = _ENTRY.unpack(linked.read(at, _ENTRY.size))
        code_va, target_va, key_va = at + code, at + 4 + target, at + _KEY_AT + key
        taken = enabled(key_va & ~_FLAGS) is not bool(key_va & _LIKELY)
        old, new = _code(linked, code_va, target_va, taken=taken)
        linked.write(code_va, new)
        changed += old != new
    return changed


def _code(linked: LinkedObject, at: int, to: int, *, taken: bool) -> tuple[bytes, bytes]:
    """Return the instruction of a static branch, and the one that has to be there."""
    for nop, jump in machine_of(linked.object.machine).branches:
        old = linked.read(at, len(nop))
        try:
            jump_code = jump.code(at, to)
        except ObjectFileError:  # too far for a short jump
            continue
        if old in (nop, jump_code):
            return old, jump_code if taken else nop
    raise ObjectFileError(
        f"a static branch is neither a NOP nor a jump: {linked.read(at, 4).hex(' ')}",
        where=f"VA {at:#x} of {linked.object.path}",
    )
