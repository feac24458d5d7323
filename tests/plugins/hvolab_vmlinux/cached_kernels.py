"""Comparison of kernels that were read twice."""

from __future__ import annotations

from hvolab_vmlinux.kernel import Kernel


def steps(kernel: Kernel) -> set[str]:
    return {one.step for one in kernel.timings}


def same(one: Kernel, other: Kernel) -> bool:
    def parts(kernel: Kernel) -> object:
        image = kernel.image
        segments = [(part.va, part.memory_size, part.physical, part.content.tobytes()) for part in image.segments]
        described = (image.digest, image.layers, image.machine, image.release, image.base, image.entry)
        symbols = kernel.table and (kernel.table.addresses.tolist(), kernel.table.letters.tolist(), kernel.table.text)
        starts = None if kernel.btf_starts is None else kernel.btf_starts.tolist()
        return described, image.relocations, segments, symbols, kernel.btf, starts, kernel.lacks

    return parts(one) == parts(other)
