# SPDX-License-Identifier: GPL-2.0-only
"""A few instructions for each machine, by which a store of an entry can be found, put into made-up kernels."""

from __future__ import annotations

import struct

from tests.plugins.hvolab_vmlinux.made_up_btf import hvo_types
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, addresses

#: `vmemmap_remap_pte(pte, ...)`: the pointer moves to another register before eight bytes are stored there.
STORES = {
    "EM_X86_64": "4889fb488933c3",  # mov rbx, rdi; mov [rbx], rsi; ret
    "EM_AARCH64": "f30300aa610200f9c0035fd6",  # mov x19, x0; str x1, [x19]; ret
    "EM_RISCV": "aa848ce08280",  # c.mv s1, a0; c.sd a1, 0(s1); c.jr ra
}


def x86_call(at: int, to: int) -> bytes:
    return b"\xe8" + struct.pack("<i", to - at - 5)


def x86_kernel_like_6_12() -> MadeUp:
    """A kernel whose function that optimizes makes the calls by which 6.12 is known."""
    made = MadeUp()
    where = addresses(made)
    at = where["hugetlb_vmemmap_optimize_folio"]
    code = x86_call(at, where["copy_page"]) + x86_call(at + 5, where["synchronize_rcu"]) + b"\xc3"
    stores = bytes.fromhex(STORES["EM_X86_64"])
    return MadeUp(code={"hugetlb_vmemmap_optimize_folio": code, "vmemmap_remap_pte": stores})


def like_7_3(*changes: str) -> MadeUp:
    """A kernel with the features of 7.2, and `changes`: more symbols, or fewer, which begin with a minus."""
    fewer = {"hugetlb_optimize_vmemmap_key"} | {name.removeprefix("-") for name in changes if name.startswith("-")}
    more = tuple(name for name in changes if not name.startswith("-"))
    symbols = (*(name for name in HVO_6_12 if name not in fewer), *more)
    where = addresses(MadeUp(symbols=symbols))
    at = where["hugetlb_vmemmap_optimize_folio"]
    code = {"hugetlb_vmemmap_optimize_folio": x86_call(at, where["copy_page"]) + b"\xc3"}
    return MadeUp(symbols=symbols, btf=hvo_types(shared_tails=True), code=code)


def storing_kernel(machine: str) -> MadeUp:
    """A kernel with a function that stores an entry where its first parameter points."""
    return MadeUp(machine, code={"vmemmap_remap_pte": bytes.fromhex(STORES[machine])})


def paravirtual_kernel() -> MadeUp:
    """A kernel that stores entries by a call through `pv_ops.mmu.set_pte`, which points at `native_set_pte`."""
    names = (*HVO_6_12, "pv_ops", "pv_ops_end", "native_set_pte")
    where = addresses(MadeUp(symbols=names))
    at = where["vmemmap_remap_pte"]
    call = b"\xff\x15" + struct.pack("<i", where["pv_ops"] + 16 - at - 6) + b"\xc3"
    table = bytes(16) + where["native_set_pte"].to_bytes(8, "little")
    return MadeUp(symbols=names, code={"vmemmap_remap_pte": call, "pv_ops": table})
