# SPDX-License-Identifier: GPL-2.0-only
"""Relative relocations: found by their structure, applied to segments, refused outside the image."""

from __future__ import annotations

import dataclasses
import struct

import numpy as np
import pytest

from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.formats.relocations import Relocations, check_within, find_relocations
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, flat_image

POINTERS = {f"filler_{number:03}": f"filler_{number + 7:03}" for number in range(500)}
BASE = 0xFFFFFFFF80000000


def table(count: int, kind: int = 3) -> bytes:
    return b"".join(struct.pack("<QQQ", BASE + 8 * n, kind, BASE + 0x1000 + n) for n in range(count))


@pytest.mark.parametrize("shift", [0, 8, 16])
def test_the_longest_table_of_the_machine_is_found_at_any_word(shift: int) -> None:
    content = table(40) + bytes(24 + shift) + table(50) + bytes(24) + table(90, kind=0x403)
    found = find_relocations(content, "EM_RISCV")
    assert len(found) == 50
    assert found.value_at(BASE + 16) == BASE + 0x1002
    assert found.value_at(BASE + 4) is None
    assert len(find_relocations(content, "EM_AARCH64")) == 90


@pytest.mark.parametrize(
    ("content", "machine"),
    [(table(31), "EM_RISCV"), (table(50), "EM_X86_64"), (b"", "EM_RISCV"), (bytes(7), "EM_RISCV")],
)
def test_a_few_entries_in_a_row_are_not_a_table_nor_is_anything_on_x86(content: bytes, machine: str) -> None:
    assert len(find_relocations(content, machine)) == 0


def test_pointers_within_a_segment_are_filled_in_and_others_are_left() -> None:
    places = np.array([BASE, BASE + 8, BASE + 20], np.uint64)
    relocations = Relocations(places, np.array([1, 2, 3], np.uint64))
    content = np.full(24, 0xFF, np.uint8)
    applied = relocations.applied(content, BASE)
    assert applied.tobytes() == struct.pack("<QQ", 1, 2) + b"\xff" * 8  # the last pointer would cross the end
    assert content.tobytes() == b"\xff" * 24
    assert relocations.applied(content, BASE + 0x1000) is content


def test_an_image_beyond_64_bits_is_refused() -> None:
    with pytest.raises(KernelImageError, match="is linked at 0xffffffff80000000"):
        check_within(find_relocations(b"", "EM_RISCV"), BASE, 1 << 32, "here")


def test_a_relocation_outside_the_image_is_refused() -> None:
    made = dataclasses.replace(MadeUp("EM_RISCV", relocated=True, pointers=POINTERS))
    content = bytearray(flat_image(made))
    content[-24:-16] = (made.base + (1 << 30)).to_bytes(8, "little")
    with pytest.raises(KernelImageError, match=r"1 of .* relocations are outside the image, the first at"):
        read_kernel(bytes(content), "here")
