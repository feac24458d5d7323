# SPDX-License-Identifier: GPL-2.0-only
"""Link address of a flat image: by the relative base, by its relocation, by pointers; contradictions are refused."""

from __future__ import annotations

import pytest

from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.formats.link_address import base_by_banner, link_base, release_of
from hvolab_vmlinux.formats.relocations import find_relocations
from hvolab_vmlinux.symbols.kallsyms import find_kallsyms
from tests.plugins.hvolab_vmlinux.made_up_kernels import BANNER, RELEASE, MadeUp, addresses, flat_image

POINTERS = {f"filler_{number:03}": f"filler_{number + 7:03}" for number in range(500)}


def linked(made: MadeUp, content: bytes) -> tuple[int, list[int]]:
    kallsyms = find_kallsyms(content)
    assert kallsyms is not None
    relocations = find_relocations(content, made.machine)
    base, found = link_base(content, len(content), kallsyms, relocations, "here")
    return base, found.addresses.tolist()


@pytest.mark.parametrize(
    "made",
    [
        MadeUp("EM_AARCH64"),
        MadeUp("EM_RISCV", relocated=True, pointers=POINTERS),
        MadeUp("EM_RISCV", layout="place", pointers=POINTERS),
        MadeUp("EM_AARCH64", layout="place", relocated=True, pointers=POINTERS),
    ],
    ids=["relative base", "relocation", "pointers", "relocated pointers"],
)
def test_the_base_and_all_addresses_are_found(made: MadeUp) -> None:
    base, found = linked(made, flat_image(made))
    assert base == made.base
    assert found == sorted(addresses(made).values())


@pytest.mark.parametrize("made", [MadeUp("EM_AARCH64"), MadeUp("EM_RISCV", layout="place", pointers=POINTERS)])
def test_a_banner_elsewhere_is_a_contradiction(made: MadeUp) -> None:
    content = flat_image(made)
    moved = content.replace(BANNER, bytes(len(BANNER)))
    with pytest.raises(KernelImageError, match="contradict each other about the link address"):
        linked(made, moved)


def test_without_its_relocation_a_relative_base_of_0_is_refused() -> None:
    made = MadeUp("EM_RISCV", relocated=True, pointers=POINTERS)
    content = flat_image(made)
    entry = len(content) - 41 * 24  # that of the base, before the 40 that make a table
    with pytest.raises(KernelImageError, match=r"cannot determine the link address.*has a relocation for it"):
        linked(made, content[:entry] + bytes(24) + content[entry + 24 :])


def test_the_banner_names_the_release_and_the_base_that_is_aligned() -> None:
    content = bytes(64) + BANNER
    assert (release_of(content), release_of(b"Linux version")) == (RELEASE, "")
    base = 0xFFFFFFFF80000000
    assert base_by_banner(content, base + 64) == base
    assert base_by_banner(content, base + 65) is None
    assert base_by_banner(content, 64) is None
