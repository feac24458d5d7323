# SPDX-License-Identifier: GPL-2.0-only
"""Folder of dumps: every mode of every architecture, every release's form, every format, and the right answers."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.elf.enums import ENUM_E_MACHINE

from hvolab import __version__
from hvolab.arch import Architecture, Target
from hvolab.files import empty_folder, write_bytes, write_text
from hvolab.serialize import as_data
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.torture import dump_writers
from hvolab_vmcore.torture.answers import DumpAnswers, TortureAnswers
from hvolab_vmcore.torture.elf_writer import Memory, write_core, write_note
from hvolab_vmcore.torture.machine import TortureMachine

#: Name of the file with the right answers.
ANSWERS: Final = "answers.json"
_MAP: Final = "memory.map"


@dataclass(frozen=True)
class Written:
    """Files of one dump: contents by the end of their names, the first one first; and options to read it."""

    files: Mapping[str, bytes]
    options: tuple[str, ...] = ()


Writer = Callable[[TortureMachine], Written]


def _elf(machine: TortureMachine) -> bytes:
    shift = machine.target.mode.page_shift
    ranges = dump_writers.ranges_of(machine.pages, 1 << shift)
    memory = [Memory(pfn << shift, data, len(data)) for pfn, data in ranges]
    number = ENUM_E_MACHINE[machine.target.architecture.elf_machine]
    order = machine.target.architecture.byte_order
    return write_core(memory, (CoreNote("VMCOREINFO", 0, machine.note),), order, machine=number)


def _kdump(machine: TortureMachine, *kinds: int, part: tuple[int, int] | None = None) -> bytes:
    name = machine.target.architecture.name.encode()
    page = machine.target.mode.page_size
    notes = write_note(CoreNote("VMCOREINFO", 0, machine.note), "<")
    uts = {b"arm64": b"aarch64", b"riscv": b"riscv64"}.get(name, name)
    return dump_writers.write_kdump(
        machine.pages, kinds=kinds, info=machine.note, machine=uts, part=part, page_size=page, notes=notes
    )


def _split(machine: TortureMachine) -> Written:
    pfns = list(machine.pages)
    middle, end = pfns[len(pfns) // 2], pfns[-1] + 1
    parts = ((0, middle), (middle, end))
    return Written({f".{number}": _kdump(machine, dump_writers.ZLIB, part=part) for number, part in enumerate(parts)})


def _raw(machine: TortureMachine) -> Written:
    page = machine.target.mode.page_size
    ranges = list(dump_writers.ranges_of(machine.pages, page))
    lines = (f"{pfn * page:x}-{pfn * page + len(data) - 1:x} : System RAM\n" for pfn, data in ranges)
    files = {".raw": b"".join(data for _, data in ranges), f".{_MAP}": "".join(lines).encode()}
    return Written(files, ("--map", f".{_MAP}"))


def _pages(machine: TortureMachine) -> tuple[dict[int, bytes], int]:
    return machine.pages, machine.target.mode.page_size


#: Formats by name.
FORMATS: Final[Mapping[str, Writer]] = {
    "elf": lambda machine: Written({".core": _elf(machine)}),
    "kdump-plain": lambda machine: Written({".kdump": _kdump(machine, 0)}),
    "kdump-zlib": lambda machine: Written({".kdump": _kdump(machine, dump_writers.ZLIB)}),
    "kdump-lzo": lambda machine: Written({".kdump": _kdump(machine, dump_writers.LZO)}),
    "kdump-snappy": lambda machine: Written({".kdump": _kdump(machine, dump_writers.SNAPPY)}),
    "kdump-zstd": lambda machine: Written({".kdump": _kdump(machine, dump_writers.ZSTD)}),
    "kdump-split": _split,
    "flattened": lambda machine: Written({".flat": dump_writers.flatten(_kdump(machine, dump_writers.ZLIB), [5000])}),
    "lime": lambda machine: Written({".lime": dump_writers.write_lime(*_pages(machine))}),
    "avml": lambda machine: Written({".avml": dump_writers.write_avml(*_pages(machine))}),
    "raw": _raw,
    "elf-xz": lambda machine: Written({".core.xz": lzma.compress(_elf(machine))}),
    "elf-gz": lambda machine: Written({".core.gz": gzip.compress(_elf(machine), mtime=0)}),
}


def cases(architectures: Mapping[str, Architecture]) -> Iterator[tuple[Target, str]]:
    """Yield targets and formats: all modes, the default mode in every release, and of each architecture all formats."""
    for architecture in architectures.values():
        default = architecture.select()
        yield from ((architecture.select(mode.name), "elf") for mode in architecture.modes)
        for release in architecture.offered:
            if release.anywhere and release.name != default.release.name:
                yield architecture.select(release=release), "elf"
        yield from ((default, name) for name in FORMATS if name != "elf")


def write_torture(
    folder: Path, architectures: Mapping[str, Architecture], on_step: Callable[[str], None] = lambda _: None
) -> TortureAnswers:
    """Write all dumps to a folder, and the right answers; returns these.

    on_step  is called with the name of each dump before it is written
    Raises UsageError for a folder that is not empty or cannot be written.
    """
    empty_folder(folder)
    machines, answers = dict[str, TortureMachine](), list[DumpAnswers]()
    for target, name in cases(architectures):
        key = f"{target.architecture.name}-{target.mode.name}-{target.release}"
        on_step(f"{key}-{name}")
        if key not in machines:
            machines = {key: TortureMachine(target, gigantic=_is_default(target))}
        answers.append(_write(folder, f"{key}-{name}", name, machines[key]))
    found = TortureAnswers(__version__, tuple(answers))
    write_text(folder / ANSWERS, json.dumps(as_data(found), indent=1) + "\n")
    return found


def _is_default(target: Target) -> bool:
    """Return whether a target is what its architecture selects without options."""
    default = target.architecture.select()
    return (target.mode.name, target.release.name) == (default.mode.name, default.release.name)


def _write(folder: Path, stem: str, form: str, machine: TortureMachine) -> DumpAnswers:
    """Write one dump and return its answers."""
    written = FORMATS[form](machine)
    names = [f"{stem}{end}" for end in written.files]
    for name, content in zip(names, written.files.values(), strict=True):
        write_bytes(folder / name, content)
    others = () if written.options else tuple(names[1:])
    struct_pages = machine.machine.struct_pages
    return DumpAnswers(
        file=names[0],
        parts=others,
        options=tuple(f"{stem}{word}" if word in written.files else word for word in written.options),
        format=form,
        architecture=machine.target.architecture.name,
        mode=machine.target.mode.name,
        release=machine.target.release.name,
        kernel=machine.kernel,
        page_size=machine.target.mode.page_size,
        struct_page_size=struct_pages.layout.size,
        root=machine.machine.tables.root,
        vmemmap=struct_pages.va(0),
        frames_saved=machine.frames_saved,
        huge_pages=machine.huge_pages,
    )
