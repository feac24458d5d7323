# SPDX-License-Identifier: GPL-2.0-only
"""Images built by hand, of every machine and layout: segments, symbols, pointers, types, and what is said to lack."""

from __future__ import annotations

import pytest

from hvolab_vmlinux import open as reading
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.open import NO_BTF, NO_KALLSYMS, read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import (
    BANNER,
    RELEASE,
    MadeUp,
    addresses,
    bzimage,
    elf_image,
    flat_image,
)

LAYOUTS = ("before-names", "after-index", "place")
POINTERS = {f"filler_{number:03}": f"filler_{number + 7:03}" for number in range(500)}


def image_of(kernel: MadeUp) -> bytes:
    return bzimage(elf_image(kernel)) if kernel.machine == "EM_X86_64" else flat_image(kernel)


@pytest.fixture
def no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """vmlinux-to-elf finds nothing in images this small, and takes its time."""
    monkeypatch.setattr(reading, "symbols_by_vmlinux_to_elf", lambda _content: None)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("machine", ["EM_X86_64", "EM_AARCH64", "EM_RISCV"])
def test_every_machine_and_layout_is_read(machine: str, layout: str) -> None:
    made = MadeUp(machine, layout=layout, pointers=POINTERS)
    kernel = read_kernel(image_of(made), "here")
    where = addresses(made)
    assert {name: kernel.symbols.address(name) for name in where} == where
    assert (kernel.image.machine, kernel.image.release, kernel.image.base) == (machine, RELEASE, made.base)
    assert kernel.lacks == ()
    assert kernel.image.read(where["linux_banner"], len(BANNER)) == BANNER
    assert kernel.image.word(where["filler_003"]) == where["filler_010"]
    assert kernel.types.offset("vmemmap_remap_walk", "flags") == 8
    assert kernel.describe(where["copy_page"] + 4) == "copy_page+0x4"
    assert kernel.describe(0x1234) == "0x1234"


@pytest.mark.parametrize("layout", ["after-index", "place"])
@pytest.mark.parametrize("machine", ["EM_AARCH64", "EM_RISCV"])
def test_pointers_that_the_image_leaves_to_relocations_are_filled_in(machine: str, layout: str) -> None:
    made = MadeUp(machine, layout=layout, pointers=POINTERS, relocated=True)
    kernel = read_kernel(flat_image(made), "here")
    where = addresses(made)
    assert kernel.image.base == made.base
    assert kernel.image.relocations >= 500
    assert kernel.image.word(where["filler_003"]) == where["filler_010"]
    assert kernel.symbols.address("copy_page") == where["copy_page"]


def test_a_vmlinux_has_its_own_symbol_table_and_type_section() -> None:
    made = MadeUp(layout="")
    kernel = read_kernel(elf_image(made, symbol_table=True, btf_section=True), "here")
    assert kernel.image.layers == ("ELF",)
    assert {name: kernel.symbols.address(name) for name in addresses(made)} == addresses(made)
    assert len(kernel.types) == len(read_kernel(elf_image(MadeUp()), "here").types)
    assert kernel.lacks == ()


@pytest.mark.usefixtures("no_fallback")
def test_what_an_image_lacks_is_said() -> None:
    bare = read_kernel(elf_image(MadeUp(layout="", btf=b"")), "here")
    assert bare.lacks == (NO_KALLSYMS, NO_BTF)
    with pytest.raises(KernelImageError, match=r"has no symbols; .*no ELF symbol table, and no kallsyms"):
        _ = bare.symbols
    with pytest.raises(KernelImageError, match="has no type information"):
        _ = bare.types
    damaged = read_kernel(elf_image(MadeUp(btf=b"no type information at all")), "here")
    assert damaged.lacks == ("its type information cannot be read: the BTF is damaged: it begins with 6e 6f 20 74",)


@pytest.mark.usefixtures("no_fallback")
@pytest.mark.parametrize(
    ("made", "what"),
    [
        (MadeUp("EM_RISCV", layout=""), "cannot determine the link address of the image: it has no symbols"),
        (MadeUp("EM_RISCV", layout="place"), "cannot determine the link address of the image"),
    ],
)
def test_a_flat_image_that_does_not_tell_where_it_is_linked_is_refused(made: MadeUp, what: str) -> None:
    with pytest.raises(KernelImageError, match=what):
        read_kernel(flat_image(made), "here")


def test_where_vmlinux_to_elf_is_not_needed_it_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "symbols_by_vmlinux_to_elf", pytest.fail)
    assert read_kernel(elf_image(MadeUp()), "here").table is not None


def test_an_unknown_layout_is_left_to_vmlinux_to_elf(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MadeUp("EM_AARCH64")
    content = flat_image(made)
    known = read_kernel(content, "here").table
    monkeypatch.setattr(reading, "find_kallsyms", lambda _content: None)
    monkeypatch.setattr(reading, "symbols_by_vmlinux_to_elf", lambda _content: known)
    kernel = read_kernel(content, "here")
    assert kernel.image.base == made.base
    assert kernel.table is known
