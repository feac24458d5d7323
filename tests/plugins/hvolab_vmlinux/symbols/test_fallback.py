# SPDX-License-Identifier: GPL-2.0-only
"""Symbols by vmlinux-to-elf: none in noise, none where it is not installed, none where it fails."""

from __future__ import annotations

import sys
import types

import pytest

from hvolab_vmlinux.symbols import fallback


def test_vmlinux_to_elf_finds_nothing_in_noise() -> None:
    assert fallback.symbols_by_vmlinux_to_elf(bytes(4096)) is None


def module_with(finder: object) -> types.ModuleType:
    module = types.ModuleType("vmlinux_to_elf.core.kallsyms")
    module.KallsymsFinder = finder  # type: ignore[attr-defined]
    return module


def test_without_vmlinux_to_elf_there_are_no_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vmlinux_to_elf.core.kallsyms", None)
    assert fallback.symbols_by_vmlinux_to_elf(bytes(4096)) is None


def test_its_symbols_become_a_table_and_its_errors_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def symbol(name: str, va: int, letter: str, *, is_global: bool) -> types.SimpleNamespace:
        kind = types.SimpleNamespace(value=letter)
        return types.SimpleNamespace(name=name, virtual_address=va, symbol_type=kind, is_global=is_global)

    def finder(_content: bytes, bit_size: int) -> types.SimpleNamespace:
        assert bit_size == 64
        symbols = [symbol("late", 32, "T", is_global=True), symbol("early", 16, "D", is_global=False)]
        return types.SimpleNamespace(symbols=[*symbols, symbol("", 8, "T", is_global=True)])

    def failing(_content: bytes, bit_size: int) -> types.SimpleNamespace:
        raise IndexError(bit_size)

    for package in ("vmlinux_to_elf", "vmlinux_to_elf.core"):
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    monkeypatch.setitem(sys.modules, "vmlinux_to_elf.core.kallsyms", module_with(finder))
    found = fallback.symbols_by_vmlinux_to_elf(b"")
    assert found is not None
    assert (found.text, found.addresses.tolist(), found.letters.tobytes()) == (b"early\0late\0", [16, 32], b"dT")
    monkeypatch.setitem(sys.modules, "vmlinux_to_elf.core.kallsyms", module_with(failing))
    assert fallback.symbols_by_vmlinux_to_elf(b"") is None
