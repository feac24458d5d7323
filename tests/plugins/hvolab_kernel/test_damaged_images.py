# SPDX-License-Identifier: GPL-2.0-only
"""Images that are cut short or changed anywhere: read, or refused with a sentence; never a traceback."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from hvolab.errors import HvolabError
from hvolab_kernel.code.listing import list_function
from hvolab_kernel.commands import disasm_report, image_report
from hvolab_vmlinux import open as reading
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, bzimage, elf_image, flat_image, zboot

POINTERS = {f"filler_{number:03}": f"filler_{number + 7:03}" for number in range(0, 500, 3)}
X86 = elf_image(MadeUp(pointers=POINTERS), symbol_table=True, btf_section=True, per_cpu=bytes(64))
ARM64 = flat_image(MadeUp("EM_AARCH64", pointers=POINTERS, relocated=True))
IMAGES = {
    "vmlinux": X86,
    "stripped": elf_image(MadeUp(pointers=POINTERS)),
    "bzImage": bzimage(X86),
    "Image": ARM64,
    "zboot": zboot(ARM64),
    "place": flat_image(MadeUp("EM_RISCV", layout="place", pointers=POINTERS)),
}


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut short, or with some bytes changed: half of the time in the headers, where they do most."""
    changed = bytearray(content)
    if chance.random() < 0.2:
        del changed[chance.randrange(len(content)) :]
        return bytes(changed)
    reach = len(content) if chance.random() < 0.5 else min(len(content), 0x260)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        changed[chance.randrange(reach)] = chance.randrange(256)
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_damaged_images_are_read_or_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "symbols_by_vmlinux_to_elf", lambda _content: None)
    chance, outcomes = random.Random(name), Counter[str]()
    for _ in range(120):
        content = damaged(IMAGES[name], chance)
        try:
            kernel = read_kernel(content, "here")
            image_report.report_of(kernel)
            disasm_report.report_of(kernel, list_function(kernel, "vmemmap_remap_pte"))
        except HvolabError as error:
            assert error.what  # noqa: PT017 - some can still be read
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
    assert outcomes["refused"] > 20
    assert outcomes["read"] > 5 or name in {"bzImage", "zboot"}
