# SPDX-License-Identifier: GPL-2.0-only
"""Segments of an image: bytes and words by VA, memory behind the content, per-CPU data linked at zero."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.image import read_only
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image


def test_memory_behind_the_content_starts_as_zero() -> None:
    kernel = read_kernel(elf_image(MadeUp()), "here")
    (segment,) = kernel.image.segments
    assert kernel.image.read(segment.end - 16, 16) == bytes(16)
    with pytest.raises(KernelImageError, match=r"17 bytes at VA .* are not in the image"):
        kernel.image.read(segment.end - 16, 17)


def test_a_per_cpu_segment_at_zero_is_told_from_the_others() -> None:
    kernel = read_kernel(elf_image(MadeUp(), per_cpu=bytes(range(64))), "here")
    assert [one.per_cpu for one in kernel.image.segments] == [False, True]
    assert kernel.image.base == MadeUp().base
    assert kernel.image.read(4, 3) == b"\4\5\6"


def test_words_are_little_endian_numbers_of_any_size() -> None:
    made = MadeUp(code={"filler_000": bytes(range(1, 9))})
    image, va = read_kernel(elf_image(made), "here").image, addresses(made)["filler_000"]
    assert (image.word(va, 2), image.word(va)) == (0x0201, 0x0807060504030201)
    segment = image.segment_of(va)
    assert segment is image.segments[0]
    assert image.segment_of(segment.end) is None
    assert image.memory_size == segment.memory_size


@pytest.mark.parametrize("content", [b"abc", b"", np.frombuffer(b"abc", np.uint8).copy(), np.zeros(0, np.uint8)])
def test_bytes_become_an_array_that_cannot_be_written(content: bytes) -> None:
    array = read_only(content)
    assert array.tobytes() == bytes(content)
    with pytest.raises(ValueError, match="read-only"):
        array[:1] = 0
