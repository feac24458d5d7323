"""Reads instruction sequences that an architecture's package declares in a TOML file, without any Python.

docs/emulation.md has the key.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from hvolab.arch.emulation import (
    Convention,
    CpuMode,
    EmulationPart,
    EmulatorLimit,
    InstructionSequence,
    RegisterSetup,
    WalkLimit,
)
from hvolab.errors import DescriptionError

_FILE = ("disassembler", "emulator", "model", "convention", "steps")
_CONVENTION = ("block", "arguments", "result", "stack", "counter", "records")
_STEP = ("inputs", "outputs", "clobbers", "text", "code", "effect")


def load_emulation_part(
    package: str,
    name: str = "instructions.toml",
    *,
    registers: RegisterSetup,
    flush_ceiling: int = 1,
    limits: tuple[EmulatorLimit, ...] = (),
    walks: tuple[WalkLimit, ...] = (),
    cpu_modes: tuple[CpuMode, ...] = (),
    source: str = "",
) -> EmulationPart:
    """The emulation part whose sequences stand in file ``name`` of ``package``; the rest is as EmulationPart has it.

    Raises DescriptionError, with file and step, for what is missing, unknown or of the wrong type.
    """
    place = f"{package}/{name}"
    try:
        text = files(package).joinpath(name).read_text(encoding="utf-8")
    except OSError as error:
        raise DescriptionError(
            f"instruction sequences cannot be read: {error}", where=place, hint="ship the file with the package"
        ) from error
    return parse_emulation_part(
        text,
        place,
        registers=registers,
        flush_ceiling=flush_ceiling,
        limits=limits,
        walks=walks,
        cpu_modes=cpu_modes,
        source=source,
    )


def parse_emulation_part(
    text: str,
    place: str,
    *,
    registers: RegisterSetup,
    flush_ceiling: int = 1,
    limits: tuple[EmulatorLimit, ...] = (),
    walks: tuple[WalkLimit, ...] = (),
    cpu_modes: tuple[CpuMode, ...] = (),
    source: str = "",
) -> EmulationPart:
    """As :func:`load_emulation_part`, from the text of a file; ``place`` is what errors call it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"instruction sequences are not TOML: {error}", where=place) from error
    _known(data, _FILE, place)
    convention = _table(data, "convention", place)
    _known(convention, _CONVENTION, f"{place}, convention")
    part = EmulationPart(
        disassembler=_pair(data, "disassembler", place),
        emulator=_pair(data, "emulator", place),
        convention=Convention(
            block=_text(convention, "block", f"{place}, convention"),
            arguments=_texts(convention, "arguments", f"{place}, convention"),
            result=_text(convention, "result", f"{place}, convention"),
            stack=_text(convention, "stack", f"{place}, convention"),
            counter=_text(convention, "counter", f"{place}, convention"),
            records=_texts(convention, "records", f"{place}, convention"),
        ),
        sequences=tuple(_sequence(step, table, place) for step, table in _table(data, "steps", place).items()),
        registers=registers,
        model=_text(data, "model", place, default=""),
        flush_ceiling=flush_ceiling,
        limits=limits,
        walks=walks,
        cpu_modes=cpu_modes,
        source=source,
    )
    try:
        part.check()
    except DescriptionError as error:
        where = "; ".join(filter(None, (place, error.where)))
        raise DescriptionError(error.what, where=where, rule=error.rule, hint=error.hint) from error
    return part


def _sequence(step: str, table: object, place: str) -> InstructionSequence:
    where = f"{place}, steps.{step}"
    if not isinstance(table, dict):
        raise DescriptionError(f"{step} is no table", where=where)
    _known(table, _STEP, where)
    return InstructionSequence(
        step=step,
        text=_text(table, "text", where),
        code="".join(_text(table, "code", where).split()),
        inputs=_names(table, "inputs", where),
        outputs=_names(table, "outputs", where),
        clobbers=_texts(table, "clobbers", where, default=()),
        effect=_text(table, "effect", where),
    )


def _known(table: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    if unknown := sorted(set(table) - set(keys)):
        raise DescriptionError(f"unknown: {', '.join(unknown)}", where=where, rule=f"known are {', '.join(keys)}")


def _table(table: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = table.get(key)
    if not isinstance(value, dict):
        raise DescriptionError(f"there is no table {key}", where=where)
    return value


def _text(table: dict[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise DescriptionError(f"{key} is no text", where=where)
    return value


def _texts(table: dict[str, Any], key: str, where: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    value = table.get(key, default)
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise DescriptionError(f"{key} is no list of texts", where=where)
    return tuple(value)


def _pair(table: dict[str, Any], key: str, where: str) -> tuple[str, str]:
    value = _texts(table, key, where)
    if len(value) != 2:
        raise DescriptionError(f"{key} is no pair of architecture and mode", where=where)
    return value[0], value[1]


def _names(table: dict[str, Any], key: str, where: str) -> tuple[tuple[str, str], ...]:
    value = table.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise DescriptionError(f"{key} is no table of names and registers", where=where)
    return tuple(value.items())
