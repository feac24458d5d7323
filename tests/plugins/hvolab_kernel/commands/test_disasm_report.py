# SPDX-License-Identifier: GPL-2.0-only
"""The report about a function: marked stores, references, and the plugin's sequence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab_kernel.code.listing import list_function
from hvolab_kernel.commands.disasm_report import listing_text, report_of
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import STORES, paravirtual_kernel, storing_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import elf_image, flat_image


@pytest.mark.parametrize("machine", STORES)
def test_a_store_is_marked_in_its_line_and_below(machine: str) -> None:
    made = storing_kernel(machine)
    kernel = read_kernel(elf_image(made) if machine == "EM_X86_64" else flat_image(made), "here")
    listing = list_function(kernel, "vmemmap_remap_pte")
    lines = listing_text(kernel, listing).plain.splitlines()
    assert lines[1].startswith("void vmemmap_remap_pte(pte_t * pte")
    marked = [line for line in lines if line.startswith("▶")]
    assert len(marked) == 2
    assert marked[1].endswith("may store an entry: stores eight bytes through the parameter pte_t *pte")
    assert lines[-1].startswith("the plugin's sequence for write_entry: ")
    report = report_of(kernel, listing)
    (stored,) = (one for one in report.instructions if one.stores_entry)
    assert report.entry_stores == (stored.va,)


def test_a_call_through_a_pointer_names_its_function() -> None:
    kernel = read_kernel(elf_image(paravirtual_kernel()), "here")
    listing = list_function(kernel, "vmemmap_remap_pte")
    assert "which goes to native_set_pte in the unpatched image" in listing_text(kernel, listing).plain
    assert report_of(kernel, listing).instructions[0].goes_to == "native_set_pte"


def test_a_function_without_stores_and_a_machine_without_a_plugin_are_said() -> None:
    kernel = read_kernel(elf_image(storing_kernel("EM_X86_64")), "here")
    listing = list_function(kernel, "copy_page")
    assert "no instruction stores a page-table entry" in listing_text(kernel, listing).plain
    kernel = replace(kernel, image=replace(kernel.image, machine="EM_S390"))
    assert listing_text(kernel, listing).plain.endswith("no plugin describes EM_S390")
    assert report_of(kernel, listing).plugin_sequence is None
