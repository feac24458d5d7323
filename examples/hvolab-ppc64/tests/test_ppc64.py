# SPDX-License-Identifier: GPL-2.0-only
"""powerpc's radix tables: byte orders, fragments, live entries, and what HVO would save where DAX saves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import Architecture, EntryKind, PgprotRole
from hvolab.conformance.check import CheckStatus
from hvolab.conformance.checks import CHECKS, made
from hvolab.conformance.subject import Subject
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.scenario import ScenarioSpec, run_scenario
from hvolab_ppc64.description import PPC64, PPC64LE

GIB = 1 << 30
BOTH = pytest.mark.parametrize("kernel", [PPC64LE, PPC64], ids=lambda kernel: kernel.name)


def optimized(kernel: Architecture, mode: str, size: int) -> tuple[Machine, int]:
    """A machine, and a huge page of it that is optimized."""
    machine = build_machine(kernel.select(mode), MachineSpec(memory=2 * GIB))
    (h,) = (h for h in hstates(machine) if h.size == size)
    pool = Pool(machine, h, Hvo(machine))
    pool.set_max_huge_pages(1)
    return machine, next(iter(pool.live))


@BOTH
def test_entries_are_big_endian_and_struct_pages_as_the_kernel_was_built(kernel: Architecture) -> None:
    machine, folio = optimized(kernel, "4K", 2 << 20)
    step = machine.tables.find(folio + 4096)
    octets = machine.memory.view(step.slot, 8).tobytes()
    assert (octets[0], octets) == (0xC0, step.raw.to_bytes(8, "big"))
    flags = machine.cpus[0].load_word(folio)
    assert machine.cpus[0].load(folio, 8) == flags.to_bytes(8, kernel.byte_order)


@BOTH
def test_a_wrong_byte_order_of_entries_is_named_with_the_field_that_corrects_it(kernel: Architecture) -> None:
    wrong = replace(kernel, entry_byte_order="little")
    (check,) = (check for check in CHECKS if check.name == "known_bytes_are_in_the_byte_order_of_entries")
    outcome = made(check, Subject(wrong))
    assert outcome.verdict is CheckStatus.FAILED
    assert "c0 00 00 00 05 4e 41 8e, little-endian, is" in outcome.reason
    assert "declare Architecture.entry_byte_order='big'" in outcome.reason


def test_a_fragment_of_256_bytes_is_walked_inside_its_page() -> None:
    target = PPC64LE.select("64K")
    machine = build_machine(target, MachineSpec(memory=256 << 20))
    pa, va = machine.memory.base + 0x100, target.mode.vmemmap_base
    slot = machine.tables.walk(va)[2].slot
    directory = 0x8000000000000005 | pa
    machine.memory.write_entry(slot, directory)
    assert target.decode("pmd", directory).offset == 0x100
    machine.memory.write_entry(pa + 8, target.leaf("pte", 7, PgprotRole.KERNEL))
    assert machine.tables.find(va + 0x10000).kind is EntryKind.LEAF
    assert machine.tables.frame_of(va + 0x10000) == 7


@pytest.mark.parametrize(("mode", "size", "pages"), [("64K", GIB, 16), ("4K", GIB, 4096), ("4K", 2 << 20, 8)])
def test_hvo_would_save_all_frames_but_one_where_dax_saves_all_but_two(mode: str, size: int, pages: int) -> None:
    machine, folio = optimized(PPC64LE, mode, size)
    page = machine.target.mode.page_size
    frames = machine.tables.frames(folio, pages)
    assert len(set(frames.tolist())) == 1
    assert machine.target.decode("pte", machine.tables.find(folio + page).raw).fields


def test_the_rule_for_live_entries_is_reported_as_the_description_predicts() -> None:
    result = run_scenario(ScenarioSpec(PPC64LE.select("4K"), memory=256 << 20, hugepages={2 << 20: 2}))
    assert result.as_declared
    found = {finding.rule: str(finding) for finding in result.findings}
    assert "marked invalid" in found["live_entries"]
