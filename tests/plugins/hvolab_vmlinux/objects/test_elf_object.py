# SPDX-License-Identifier: GPL-2.0-only
"""Relocatable objects: sections, symbols and relocations; other files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmlinux.errors import KernelImageError, ObjectFileError
from hvolab_vmlinux.objects.elf_object import ObjectRelocation, RelocatableObject, read_object
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import LOCAL, MadeUpObject, MadeUpSection, MadeUpSymbol

MADE = MadeUpObject(
    [
        MadeUpSection(".text", b"\x90" * 16, relocations=[(4, 2, 2, -4)]),
        MadeUpSection(".bss", b"\0" * 8, "data", zeroed=True),
    ],
    [MadeUpSymbol("optimize", 1, 8, binding=LOCAL), MadeUpSymbol("copy_page")],
)


def test_an_object_has_sections_symbols_and_relocations(tmp_path: Path) -> None:
    (tmp_path / "made-up.o").write_bytes(MADE.content())
    one = read_object(tmp_path / "made-up.o")
    text, bss = one.section(".text"), one.section(".bss")
    assert text is not None
    assert bss is not None
    assert (text.executable, text.writable, text.content, text.align) == (True, False, b"\x90" * 16, 16)
    assert (bss.zeroed, bss.size, bss.content) == (True, 8, b"")
    assert one.section(".init.text") is None
    assert one.relocations(text) == [ObjectRelocation(4, 2, 2, -4)]
    assert one.relocations(bss) == []
    assert [(symbol.name, symbol.local, symbol.function) for symbol in one.symbols[1:]] == [
        ("optimize", True, True),
        ("copy_page", False, True),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"MZ\0\0\0\0", "it begins with 4d 5a"),
        (MadeUpObject([], kind=3).content(), "of type 3, not a relocatable object"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(ObjectFileError, match=message):
        RelocatableObject(Path("other"), content)


def test_a_file_that_ends_too_early_is_refused() -> None:
    content = MADE.content()
    for size in range(64, len(content), 7):
        with pytest.raises(KernelImageError):
            RelocatableObject(Path("cut"), content[:size])


def test_a_relocation_of_a_symbol_that_is_not_there_is_refused() -> None:
    wrong = MadeUpObject([MadeUpSection(".text", bytes(8), relocations=[(0, 1, 9, 0)])], MADE.symbols).object()
    with pytest.raises(KernelImageError, match="has no symbol"):
        wrong.relocations(wrong.sections[1])
