# SPDX-License-Identifier: GPL-2.0-only
"""Overlay: jumps in place of the old functions, traps in place of their code, and the symbols of both."""

from __future__ import annotations

import pytest

from hvolab_vmlinux.errors import SymbolError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.objects.overlay import Overlay, overlay, resolve, types_of
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import DATA, LOCAL, MadeUpObject, MadeUpSection, MadeUpSymbol

_BODY = bytes(64)
_NAMES = ("before", "optimize", "gone", "restore", "after", "enabled", "hugetlb_key", "copy_page")
_SYMBOLS = (
    MadeUpSymbol("optimize", 1, 0),
    MadeUpSymbol("restore", 1, 16),
    MadeUpSymbol("split", 1, 32, binding=LOCAL),
    MadeUpSymbol("enabled", 2, 0, DATA, LOCAL),
    MadeUpSymbol("hugetlb_key", 2, 8, DATA),
    MadeUpSymbol("copy_page"),
    MadeUpSymbol("kmalloc"),
)


def kernel() -> Kernel:
    return read_kernel(elf_image(MadeUp(symbols=_NAMES), symbol_table=True), "made up")


def made() -> tuple[Kernel, Overlay]:
    old = kernel()
    text = MadeUpSection(".text", b"\x90" * 48, relocations=[(1, 4, 6, -4), (33, 4, 7, -4)])
    data = MadeUpSection(".data", bytes(16), "data", [(8, 1, 5, 0)])
    one = MadeUpObject([text, data], _SYMBOLS).object()
    return old, overlay(old, one, (old.symbols.address("optimize"), old.symbols.address("after")))


def test_old_functions_are_jumps_to_the_new_ones_and_the_rest_traps() -> None:
    old, done = made()
    new = done.kernel
    for name in ("optimize", "restore"):
        was, now = old.symbols.address(name), new.symbols.address(name)
        assert new.image.read(was, 1) == b"\xe9"
        assert was + 5 + int.from_bytes(new.image.read(was + 1, 4), "little", signed=True) == now
        assert new.image.read(was + 5, 59) == b"\xcc" * 59
    assert new.image.read(old.symbols.address("gone"), 64) == b"\xcc" * 64
    for name in ("before", "after"):
        assert new.image.read(old.symbols.address(name), 64) == old.image.read(old.symbols.address(name), 64)
    assert new.image.digest != old.image.digest


def test_the_report_has_what_was_replaced_added_and_missed() -> None:
    _, done = made()
    assert (done.replaced, done.added, done.gone) == (("optimize", "restore"), ("split",), ("gone",))
    assert (done.own, done.missing) == (("enabled",), ("kmalloc",))
    assert set(done.shared) == {"copy_page", "hugetlb_key"}
    code = done.kernel.linked
    assert code is not None
    assert code.start <= done.kernel.symbols.address("kmalloc") < code.end
    assert code.source_of(code.start) == ""


def test_names_are_those_of_the_object_where_both_have_them() -> None:
    old, done = made()
    symbols = done.kernel.symbols
    assert symbols.find("gone") is None
    assert symbols.find("replaced gone") == old.symbols.address("gone")
    assert symbols.address("enabled") > old.symbols.address("enabled")
    assert symbols.address("hugetlb_key") == old.symbols.address("hugetlb_key")
    assert symbols.end(symbols.address("split")) == symbols.address("split") + 16
    assert done.linked.read(symbols.address("enabled") + 8, 8) == old.symbols.address("hugetlb_key").to_bytes(
        8, "little"
    )


def test_of_several_symbols_the_global_one_counts() -> None:
    symbols = kernel().symbols
    where = symbols.address("before"), symbols.address("after")
    twice = symbols.overlaid([(where[1], "t", "before")], (), (0, 0))
    assert resolve(twice, "before") == where[0]
    assert resolve(twice, "no_such_symbol") is None
    with pytest.raises(SymbolError, match="2 symbols are called 'before'"):
        resolve(symbols.overlaid([(where[1], "T", "before")], (), (0, 0)), "before")


def test_an_object_without_types_has_none() -> None:
    assert types_of(MadeUpObject([MadeUpSection(".text", b"\xc3")]).object()) is None
