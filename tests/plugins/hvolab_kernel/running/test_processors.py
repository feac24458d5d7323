# SPDX-License-Identifier: GPL-2.0-only
"""CPUs of a loaded kernel."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hvolab_kernel.running.loader import LoadedKernel
from hvolab_kernel.running.processors import per_cpu_range, words_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, machine_for

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@FETCHED
def test_other_cpus_have_copies_of_the_first_one_but_for_their_number_task_and_offset(real_kernel: Kernel) -> None:
    loaded = LoadedKernel(machine_for(real_kernel, cpus=3), real_kernel, 3)
    first, *others = loaded.processors
    assert [one.number for one in loaded.processors] == [0, 1, 2]
    start, size = per_cpu_range(real_kernel)
    assert size
    for one in others:
        own = {va + offset for va, count, _ in words_of(real_kernel, one) for offset in range(count)}
        ours, theirs = (loaded.memory.view(loaded.pa(start + cpu.offset), size).tobytes() for cpu in (one, first))
        different = {
            one.data.va + index for index, pair in enumerate(zip(ours, theirs, strict=True)) if len({*pair}) > 1
        }
        assert different <= own
        cpu = one.task + real_kernel.types.offset("task_struct", "thread_info.cpu")
        assert loaded.read(cpu, 4) == one.number


@FETCHED
def test_regions_of_cpus_do_not_overlap(real_kernel: Kernel) -> None:
    loaded = LoadedKernel(machine_for(real_kernel, cpus=3), real_kernel, 3)
    regions = [region for one in loaded.processors[1:] for region in (one.stack, one.data)]
    regions += [loaded.image, loaded.stack, loaded.data, loaded.node]
    bounds = sorted((region.va, region.end) for region in regions)
    assert all(end <= start for (_, end), (start, _) in pairwise(bounds))


@FETCHED
def test_one_cpu_takes_no_room_for_others(real_kernel: Kernel) -> None:
    loaded = LoadedKernel(machine_for(real_kernel), real_kernel)
    assert len(loaded.processors) == 1
    assert loaded.processors[0].stack == loaded.stack
    assert loaded.node.va == loaded.data.end
