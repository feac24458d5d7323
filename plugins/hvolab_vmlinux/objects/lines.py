# SPDX-License-Identifier: GPL-2.0-only
"""File and line of an object's instructions, from the line table of its DWARF. It is read on first use."""

from __future__ import annotations

from bisect import bisect_right
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, Final

from elftools.common.exceptions import DWARFError, ELFError
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.linker import LinkedObject, machine_of
from hvolab_vmlinux.objects.relocations import Addresses, relocate

#: Sections that the line table needs, by the parameters of pyelftools.
_SECTIONS: Final = {
    f"debug_{name}_sec": f".debug_{name}"
    for name in ("info", "abbrev", "line", "str", "line_str", "str_offsets", "addr", "rnglists", "loclists", "ranges")
}
_OTHERS: Final = (
    *("debug_aranges_sec", "debug_frame_sec", "eh_frame_sec", "debug_loc_sec", "debug_pubtypes_sec"),
    *("debug_pubnames_sec", "debug_sup_sec", "gnu_debugaltlink_sec", "debug_types_sec"),
)
#: Components of a path that are shown.
_SHOWN: Final = 2
_UNREADABLE: Final = (
    DWARFError,
    ELFError,
    ObjectFileError,
    LookupError,
    ValueError,
    AttributeError,
    TypeError,
    AssertionError,
)


class LineTable:
    """Lines of an object's text; none where it has no DWARF, or one that cannot be read."""

    def __init__(self, linked: LinkedObject) -> None:
        self._linked = linked
        self._rows: tuple[list[int], list[str]] | None = None

    def at(self, va: int) -> str:
        """Return `file:line` of the instruction at a VA; empty where it is unknown."""
        if self._rows is None:
            try:
                self._rows = _rows(self._linked)
            except _UNREADABLE:
                self._rows = ([], [])
        addresses, texts = self._rows
        index = bisect_right(addresses, va) - 1
        return texts[index] if index >= 0 and self._linked.base <= va < self._linked.code_end else ""


def _rows(linked: LinkedObject) -> tuple[list[int], list[str]]:
    """Return the VAs at which lines begin, ascending, and their places."""
    found: dict[int, str] = {}
    dwarf = _dwarf(linked)
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        for entry in () if program is None else program.get_entries():
            state = entry.state
            if state is not None:
                found[state.address] = "" if state.end_sequence else f"{_path(program, state.file)}:{state.line}"
    return sorted(found), [found[va] for va in sorted(found)]


def _path(program: Any, number: int) -> str:
    """Return the last components of a file's path; files count from 1 before DWARF 5."""
    header = program.header
    file = header.file_entry[number if header.version >= 5 else number - 1]
    path = PurePosixPath(file.name.decode("utf-8", "replace"))
    directory = file.dir_index - (header.version < 5)
    if len(path.parts) < _SHOWN and 0 <= directory < len(header.include_directory):
        path = PurePosixPath(header.include_directory[directory].decode("utf-8", "replace")) / path
    return "/".join(path.parts[-_SHOWN:])


def _dwarf(linked: LinkedObject) -> Any:
    given: dict[str, Any] = {name: _descriptor(linked, section) for name, section in _SECTIONS.items()}
    config = DwarfConfig(little_endian=True, machine_arch="", default_address_size=8)
    return DWARFInfo(config=config, **given, **dict.fromkeys(_OTHERS))


def _descriptor(linked: LinkedObject, name: str) -> Any:
    """Return a section for pyelftools. Only the line table is relocated: with one unit, other offsets are 0."""
    section = linked.object.section(name)
    if section is None:
        return None
    content = bytearray(section.content)
    if name == ".debug_line":
        symbols, places = linked.object.symbols, linked.places

        def address(number: int) -> int:
            one = symbols[number]
            return places.get(one.section, 0) + (0 if one.names_section else one.value)

        types = machine_of(linked.object.machine).types
        relocations = linked.object.relocations(section)
        relocate(content, 0, relocations, types, Addresses(address, lambda _: 0), name)
    return DebugSectionDescriptor(BytesIO(bytes(content)), name, None, len(content), 0)
