# SPDX-License-Identifier: GPL-2.0-only
"""What kernels did between two memory cores, done again on an emulated CPU: no difference to the kernel."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hvolab_unicorn import make_cpu
from hvolab_vmcore.commands.replay_report import report_of
from hvolab_vmcore.replay.replay import replay
from tests.plugins.hvolab_vmcore.changed_cores import CAPTURES, FOLDERS

STAGES = ("0-boot", "1-optimised-2M", "2-optimised-1G", "3-restored")


@pytest.mark.slow
@pytest.mark.parametrize("folder", [folder.name for folder in FOLDERS])
@pytest.mark.parametrize(("before", "after"), list(pairwise(STAGES)))
def test_an_emulated_cpu_leaves_what_the_kernel_left(folder: str, before: str, after: str) -> None:
    first, last = (CAPTURES / folder / f"{stage}.core.xz" for stage in (before, after))
    outcome = replay(first, last, cpu=make_cpu)
    assert outcome.differences == ()
    assert report_of(outcome) == report_of(replay(first, last))
