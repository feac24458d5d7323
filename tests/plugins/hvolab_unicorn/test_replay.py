# SPDX-License-Identifier: GPL-2.0-only
"""What kernels did between two memory cores, done again on an emulated CPU: no difference to the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_unicorn import make_cpu
from hvolab_vmcore.commands.replay_report import report_of
from hvolab_vmcore.replay.replay import replay
from tests.plugins.hvolab_vmcore.changed_cores import PAIRS, in_folder


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), PAIRS, ids=in_folder)
def test_an_emulated_cpu_leaves_what_the_kernel_left(before: Path, after: Path) -> None:
    outcome = replay(before, after, cpu=make_cpu)
    assert outcome.differences == ()
    assert report_of(outcome) == report_of(replay(before, after))
