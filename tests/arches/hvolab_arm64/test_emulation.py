# SPDX-License-Identifier: GPL-2.0-only
"""What arm64 says about its emulated CPUs beyond their instruction sequences."""

from __future__ import annotations

import pytest

from hvolab.plugin import registry


@pytest.mark.parametrize(("mode", "pages"), [("4K-48bit", 512), ("16K-48bit", 2048), ("64K-48bit", 8192)])
def test_pages_are_flushed_one_by_one_up_to_as_many_as_a_table_has_entries(mode: str, pages: int) -> None:
    target = registry().architecture("arm64").select(mode)
    assert target.architecture.emulation is not None
    assert target.architecture.emulation.ceiling(target.mode) == pages


def test_other_architectures_name_a_number() -> None:
    for name, pages in (("x86_64", 33), ("riscv", 64)):
        target = registry().architecture(name).select()
        assert target.architecture.emulation is not None
        assert target.architecture.emulation.ceiling(target.mode) == pages
