# SPDX-License-Identifier: GPL-2.0-only
"""Registers and calls back without the library's Python interface between."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab.errors import UsageError
from hvolab_unicorn.emulator import library
from hvolab_unicorn.emulator.library import Registers, call_at
from tests.oldest import lowest

unicorn = pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

CODE = 0x1000
#: mov rax, rdi; jmp to the next, which is a block: dec ecx; jnz back to it.
LOOP = bytes.fromhex("4889f8eb00ffc975fc")


@pytest.fixture
def uc() -> Any:
    made = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    made.mem_map(CODE, 0x1000)
    made.mem_write(CODE, LOOP)
    return made


def test_what_is_written_is_read_in_the_form_asked_for(uc: Any) -> None:
    x86 = unicorn.x86_const
    registers = Registers(uc)
    registers.write(x86.UC_X86_REG_RDI, 0xDEAD_FFFFFFFF)
    registers.write(x86.UC_X86_REG_RSI, (1 << 64) - 7)
    both = (x86.UC_X86_REG_RDI, x86.UC_X86_REG_RSI)
    assert registers.reader(both)() == (0xDEAD_FFFFFFFF, (1 << 64) - 7)
    assert registers.reader(both, "i4xq")() == (-1, -7)
    assert registers.reader(both[:1], "I4x")() == (0xFFFFFFFF,)
    assert registers.reader(())() == ()
    assert uc.reg_read(x86.UC_X86_REG_RDI) == 0xDEAD_FFFFFFFF


def test_a_block_is_heard_of_each_time_it_begins_and_may_change_registers(uc: Any) -> None:
    x86 = unicorn.x86_const
    registers = Registers(uc)
    values = registers.reader((x86.UC_X86_REG_RCX,))
    heard: list[int] = []

    def hear() -> None:
        heard.extend(values())
        registers.write(x86.UC_X86_REG_RAX, len(heard))

    held = call_at(uc, CODE + 5, hear)
    registers.write(x86.UC_X86_REG_RCX, 3)
    uc.emu_start(CODE, CODE + len(LOOP), 0, 1 << 20)
    assert heard == [3, 2, 1]
    assert uc.reg_read(x86.UC_X86_REG_RAX) == 3
    assert held is not None


def test_a_count_of_instructions_stops_at_the_same_one_beside_calls_back(uc: Any) -> None:
    x86 = unicorn.x86_const
    held = call_at(uc, CODE + 5, lambda: None)
    for _ in range(2):
        uc.reg_write(x86.UC_X86_REG_RCX, 1 << 30)
        uc.emu_start(CODE, CODE + len(LOOP), 0, 1001)
        assert uc.reg_read(x86.UC_X86_REG_ECX) == (1 << 30) - 500  # two to begin with, then two a turn
    assert held is not None


@pytest.mark.parametrize("release", ["1.0.3", "2.0.1.post1", "2.1.0", "2.1.3"])
def test_a_release_that_is_too_old_is_refused_with_the_oldest_that_works(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unicorn, "__version__", release)
    library.unicorn.cache_clear()
    with pytest.raises(UsageError) as caught:
        library.unicorn()
    assert caught.value.what == f"unicorn {release} is too old to emulate a CPU"
    assert caught.value.rule == "hvolab needs unicorn 2.1.4 or later"
    assert caught.value.hint == "pip install 'hvolab[emulation]'"


def test_the_oldest_release_is_the_one_that_the_project_requires() -> None:
    assert ".".join(map(str, library.OLDEST)) == lowest()["unicorn"]
    assert library.unicorn() is unicorn
