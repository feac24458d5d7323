# SPDX-License-Identifier: GPL-2.0-only
"""Kernel functions in progress, from the stack and from docstrings."""

from __future__ import annotations

import pytest

from hvolab_report.recording.calls import Call, CallStack, KernelFunction, kernel_function
from tests.plugins.hvolab_report.runs import recording

STACK = CallStack("6.12")


def remap() -> list[str]:
    """Remap a range. Kernel: vmemmap_remap_free() in mm/hugetlb_vmemmap.c, v6.12."""
    return names() + names()


def names() -> list[str]:
    return [call.function.name for call in STACK.now()]


def test_functions_in_progress_are_those_whose_docstring_names_one() -> None:
    assert names() == []
    assert remap() == ["vmemmap_remap_free", "vmemmap_remap_free"]


def split() -> tuple[Call, Call]:
    """Split. Kernel: vmemmap_split_pmd()."""
    return STACK.now()[0], STACK.now()[0]


def test_one_call_stays_the_same_and_the_next_call_is_another() -> None:
    (one, again), (other, _) = split(), split()
    assert one is again
    assert one is not other
    assert one.function == other.function


@pytest.mark.parametrize(
    ("text", "module", "expected"),
    [
        (
            "Return a PFN.\n\n    Kernel: pfn_of() in mm/x.c, v6.12.",
            "",
            KernelFunction("pfn_of", "Return a PFN.", "mm/x.c, v6.12", "m"),
        ),
        ("Set. Kernel: new(), v6.12; old(), v6.1.", "", KernelFunction("new", "Set.", "v6.12", "m")),
        ("Set. Kernel: old(), v6.1; new(), v6.12.", "", KernelFunction("new", "Set.", "v6.12", "m")),
        ("Set. Kernel: set().", "Kernel: mm/x.c, v6.12.", KernelFunction("set", "Set.", "mm/x.c, v6.12", "m")),
        ("Nothing of a kernel.", "Kernel: mm/hugetlb.c, v6.12.", None),
        ("A struct. Kernel: struct hstate, v6.12.", "", None),
    ],
)
def test_a_docstring_names_function_file_and_release(text: str, module: str, expected: KernelFunction | None) -> None:
    assert kernel_function(text, module, "m", "v6.12") == expected


def test_a_split_happens_in_the_functions_of_the_kernel() -> None:
    stores = [step for step in recording().steps if step.event.name == "entry.store"]
    assert [call.function.name for call in stores[0].calls][-6:] == [
        "hugetlb_vmemmap_split_folio",
        "vmemmap_remap_split",
        "vmemmap_remap_range",
        "walk_page_range_novma",
        "vmemmap_pmd_entry",
        "vmemmap_split_pmd",
    ]
