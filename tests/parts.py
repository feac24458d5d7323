# SPDX-License-Identifier: GPL-2.0-only
"""An emulation part for a made-up CPU, and the text of a file that says the same."""

from __future__ import annotations

import re

from hvolab.arch import (
    STEPS,
    Convention,
    EmulationPart,
    InstructionSequence,
    RegisterSetting,
    Selection,
)
from hvolab.arch.steps import StepContract

CONVENTION = Convention("b", ("a0", "a1", "a2", "a3", "a4", "a5"), "r", "s", "p", ("cause", "address"))


def registers(selection: Selection, root: int) -> tuple[RegisterSetting, ...]:
    """One register, which holds the root."""
    del selection
    return (RegisterSetting("ROOT", root),)


def _registers(step: StepContract) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Where inputs and outputs of a step are."""
    held = {"block": "b", "result": "r"}
    arguments = iter(CONVENTION.arguments)
    inputs = tuple((name, held[name] if name in held else next(arguments)) for name in step.inputs)
    outputs = tuple((name, f"a{name[-1]}" if name.startswith("argument") else "r") for name in step.outputs)
    return inputs, outputs


def sequence(step: StepContract) -> InstructionSequence:
    """A sequence that keeps the step's contract, of one made-up instruction."""
    inputs, outputs = _registers(step)
    effect = step.effect or "p = s"
    for name, register in sorted((*inputs, *outputs), key=lambda pair: -len(pair[0])):
        effect = _replace_word(effect, name, register)
    return InstructionSequence(step.name, f"do {step.name}", "00", inputs, outputs, (), effect)


def _replace_word(text: str, word: str, other: str) -> str:
    return re.sub(rf"\b{word}\b", other, text)


def part() -> EmulationPart:
    """A part that passes its own check."""
    return EmulationPart(("ARCH", "MODE"), ("UC_ARCH", "UC_MODE"), CONVENTION, tuple(map(sequence, STEPS)), registers)


def as_toml(part: EmulationPart) -> str:
    """The part as a file."""
    lines = [
        f"disassembler = {list(part.disassembler)}",
        f"emulator = {list(part.emulator)}",
        "[convention]",
        f'block = "{part.convention.block}"',
        f"arguments = {list(part.convention.arguments)}",
        f'result = "{part.convention.result}"',
        f'stack = "{part.convention.stack}"',
        f'counter = "{part.convention.counter}"',
        f"records = {list(part.convention.records)}",
    ]
    for each in part.sequences:
        lines += [f"[steps.{each.step}]", f'text = "{each.text}"', f'code = "{each.code}"', f'effect = "{each.effect}"']
        for title, pairs in (("inputs", each.inputs), ("outputs", each.outputs)):
            lines += [f"{title} = {{ " + ", ".join(f'{name} = "{register}"' for name, register in pairs) + " }"]
    return "\n".join(lines)
