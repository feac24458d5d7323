# SPDX-License-Identifier: GPL-2.0-only
"""Names of kallsyms: found behind other bytes, with tokens and lengths of two bytes; none without the index."""

from __future__ import annotations

import pytest

from hvolab_vmlinux.symbols.kallsyms_names import find_names
from tests.plugins.hvolab_vmlinux.made_up_kernels import kallsyms

BASE = 0xFFFFFFFF81000000
SYMBOLS = [(f"vmemmap_function_{number}", BASE + 16 * number) for number in range(700)]
SYMBOLS[300] = ("a" * 200, SYMBOLS[300][1])


@pytest.mark.parametrize("prefix", [b"", bytes(4096), b"0\0001\0" * 7])
def test_all_names_are_expanded_wherever_the_tables_are(prefix: bytes) -> None:
    table, _ = kallsyms(SYMBOLS, "after-index", BASE, len(prefix))
    names = find_names(prefix + table)
    assert names is not None
    assert names.count == 700
    assert names.text.decode().split("\0")[:-1] == [name for name, _ in SYMBOLS]
    assert names.letters.tobytes() == b"T" * 700
    content = prefix + table
    assert int.from_bytes(content[names.count_at : names.count_at + 4], "little") == 700


def test_without_an_index_behind_the_tokens_there_are_no_names() -> None:
    table, _ = kallsyms(SYMBOLS, "after-index", BASE)
    names = find_names(table)
    assert names is not None
    end = names.tokens.index_end
    assert find_names(table[: end - 1]) is None
    assert find_names(table[:end]) is not None
