# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory of a core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.core.memory import check_mapped, first_new_pfn, memory_of
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from tests.plugins.hvolab_vmcore.written_cores import opened, page


def test_bytes_are_at_their_pa_and_only_whole_frames_are_present(tmp_path: Path) -> None:
    core = opened(tmp_path, write_core([page(0x8001000, 0xAB), Memory(0x8003800, b"\xcd" * 4096, 4096)]))
    memory = memory_of(core, 12)
    assert memory.base == 0x8000000
    assert memory.view(0x8001000, 4096).tobytes() == b"\xab" * 4096
    assert memory.held(np.arange(0x8000, 0x8006)).tolist() == [False, True, False, False, False, False]


def test_there_is_room_for_new_frames_above_the_core(tmp_path: Path) -> None:
    core = opened(tmp_path, write_core([page(0x8001000)]))
    memory, first = memory_of(core, 12), first_new_pfn(core, 12)
    assert first << 12 == 0x10000000
    assert memory.base + memory.size - (first << 12) >= 256 << 20


@pytest.mark.parametrize("far", [1 << 51, (1 << 64) - 4096])
def test_no_machine_can_be_built_on_memory_that_is_too_far_apart_to_be_mapped(tmp_path: Path, far: int) -> None:
    core = opened(tmp_path, write_core([page(0x8001000), page(far)]))
    memory = memory_of(core, 12)
    assert memory.held(np.array([0x8000, 0x8001, far >> 12])).tolist() == [False, True, True]
    with pytest.raises(CoreFileError, match="the memory spans 0x") as caught:
        check_mapped(memory, core.path)
    assert caught.value.where == str(tmp_path / "a.core")
