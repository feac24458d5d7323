# SPDX-License-Identifier: GPL-2.0-only
"""The emulation part of a description: sequences that keep their contracts, and sequences that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hvolab.arch import STEP_BY_NAME, EmulationPart, EmulatorLimit, InstructionSequence, MmuMemory
from hvolab.errors import DescriptionError
from tests.made_up import MADE_UP
from tests.parts import CONVENTION, part, sequence

LOAD = sequence(STEP_BY_NAME["load"])


def with_sequence(changed: InstructionSequence) -> EmulationPart:
    whole = part()
    return replace(whole, sequences=tuple(changed if s.step == changed.step else s for s in whole.sequences))


def test_a_sequence_is_found_by_its_step() -> None:
    whole = part()
    whole.check()
    assert whole.sequence("load") == LOAD
    assert replace(LOAD, code="01 02fe").machine_code == b"\x01\x02\xfe"
    assert whole.sequence("nothing") is None


def test_an_effect_is_read_in_the_names_of_the_contract() -> None:
    assert LOAD.effect == "r = [a0]"
    assert LOAD.effect_in_names == "value = [va]"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (replace(LOAD, code="0g"), "the code of load is not hex"),
        (replace(LOAD, code=""), "load has no bytes or no text"),
        (replace(LOAD, text=""), "load has no bytes or no text"),
        (replace(LOAD, inputs=()), "the inputs of load are none; rule: its contract: va"),
        (replace(LOAD, outputs=(("word", "r"),)), "the outputs of load are word; rule: its contract: value"),
        (replace(LOAD, outputs=(("value", "a0"),)), "two inputs or outputs of load share a register"),
        (replace(LOAD, effect="[a0] = r"), "the effect of load is '.va. = value'; rule: its contract: value = .va."),
        (replace(LOAD, effect="r = [a9]"), "the effect of load names 'a9', which is neither input nor output"),
        (replace(LOAD, inputs=(("va", "q"),), effect="r = [q]"), "the input va of load is in q"),
        (replace(LOAD, outputs=(("value", "q"),), effect="q = [a0]"), "the output value of load is in q"),
        (replace(LOAD, clobbers=("b",)), "load changes b; rule: it holds the argument block"),
    ],
)
def test_a_sequence_that_breaks_its_contract_is_refused(changed: InstructionSequence, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        with_sequence(changed).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: replace(whole, sequences=(*whole.sequences, LOAD)), "load is declared twice"),
        (lambda whole: replace(whole, sequences=whole.sequences[1:]), "no sequence for enter"),
        (lambda whole: replace(whole, sequences=(replace(LOAD, step="fly"),)), "no step is called 'fly'"),
        (lambda whole: replace(whole, convention=replace(CONVENTION, arguments=("a0",))), "is in"),
    ],
)
def test_a_part_that_lacks_something_is_refused(change: Callable[[EmulationPart], EmulationPart], message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        change(part()).check()


def test_limits_tell_what_is_refused_and_what_is_only_different() -> None:
    target = MADE_UP.select(features=("guard",))
    limits = (
        EmulatorLimit("no such mode", modes=("straight",)),
        EmulatorLimit("no guards", features=("guard",)),
        EmulatorLimit("odd flushes", refuses=False),
        EmulatorLimit("not without guards", without=("guard",)),
        EmulatorLimit("no old kernels", releases=("6.1",)),
    )
    limited = replace(part(), limits=limits)
    assert limited.refusal(target) == "no guards"
    assert limited.refusal(MADE_UP.select(release="6.1")) == "not without guards; no old kernels"
    assert limited.differences(target) == ("odd flushes",)


@pytest.mark.parametrize(("size", "alignment"), [(0, 0), (8, 3), (8, -8)])
def test_memory_of_the_mmu_has_a_size_and_a_power_of_two(size: int, alignment: int) -> None:
    memory = MmuMemory("process table", size, lambda *_: b"", lambda _: (), alignment)
    with pytest.raises(DescriptionError, match="the MMU's memory 'process table' has"):
        replace(part(), memory=(memory,)).check()


def test_memory_of_the_mmu_is_filled_up_with_zeros() -> None:
    memory = MmuMemory("process table", 4, lambda _, root, pa: bytes((root, pa)), lambda _: ())
    assert memory.filled(MADE_UP.select(), 1, 2) == bytes((1, 2, 0, 0))
    with pytest.raises(DescriptionError, match="has 0x2 bytes, not 0x1"):
        replace(memory, size=1).filled(MADE_UP.select(), 1, 2)
