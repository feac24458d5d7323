# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of kernels that were read twice."""

from __future__ import annotations

from hvolab_vmlinux.kernel import Kernel


def steps(kernel: Kernel) -> set[str]:
    return set(kernel.timings)


def same(one: Kernel, other: Kernel) -> bool:
    def parts(kernel: Kernel) -> object:
        image = kernel.image
        segments = [(part.va, part.memory_size, part.content.tobytes()) for part in image.segments]
        described = (image.digest, image.layers, image.machine, image.release, image.base, image.entry)
        table, btf = kernel.table, kernel.btf
        symbols = table and (table.addresses.tolist(), table.letters.tolist(), table.text, table.by_name.tolist())
        types = btf and (btf.words.tolist(), btf.starts.tolist(), btf.strings)
        return described, image.relocations, segments, symbols, types, kernel.lacks

    return parts(one) == parts(other)
