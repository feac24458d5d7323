# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab explore --engine kernel`."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from hvolab.plugin import registry
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab, image_of
from tests.plugins.hvolab_kernel.kernel_machines import ARM64, X86

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab_explorer.fixtures import ExploreFixture
from hvolab_kernel.interleaving.engine import engine_of_image

RACE = ("--split", "--actors", "recycle-list A B.64, sysctl-on, taker B.64")


@X86
@pytest.mark.slow
def test_a_finding_is_printed_as_a_schedule_that_another_process_repeats(real_kernel: Kernel) -> None:
    options = ("explore", "--engine", "kernel", "--image", image_of(real_kernel))
    found = hvolab(*options, *RACE)
    assert found.exit_code == 1
    (schedule,) = re.findall(r"^schedule: (.*)$", found.stdout, re.MULTILINE)
    assert " at vmemmap_should_optimize_folio+0x" in schedule
    again = hvolab(*options, *RACE, "--replay", schedule)
    assert again.exit_code == 1
    assert "finding: taker B.64 faults" in again.stdout
    other = hvolab("explore", "--arch", "x86_64", *RACE, "--replay", schedule)
    assert other.exit_code == 2
    assert "the schedule is of another configuration" in other.stderr


@pytest.mark.slow
@X86
def test_a_complete_search_says_what_it_takes_for_granted(real_kernel: Kernel) -> None:
    actors = ("--split", "--actors", "optimize A, optimize B")
    (one,) = as_json("explore", "--engine", "kernel", "--image", image_of(real_kernel), *actors)["configurations"]
    assert one["complete"]
    assert any("preempted before instructions" in text for text in one["assumptions"])


@X86
@pytest.mark.slow
def test_the_fixture_explores_an_image_on_the_machine_that_it_needs(real_kernel: Kernel) -> None:
    explore, image = ExploreFixture(registry().architecture("riscv").select()), Path(image_of(real_kernel))
    explored = explore("optimize A, optimize B", split=True, image=image)
    assert (explored.target.architecture.name, len(explored.result.classes)) == ("x86_64", 4)
    with pytest.raises(pytest.fail.Exception, match=r"taker B\.64 faults") as failure:
        explore("recycle-list A B.64, sysctl-on, taker B.64", split=True, image=image)
    (schedule,) = re.findall(r"^schedule: (.*)$", str(failure.value), re.MULTILINE)
    with pytest.raises(pytest.fail.Exception, match=r"taker B\.64 faults"):
        explore.replay("recycle-list A B.64, sysctl-on, taker B.64", schedule, split=True, image=image)
    with pytest.raises(pytest.fail.Exception, match="an object requires an image"):
        explore("optimize A", object_file=image)


@X86
def test_an_engine_can_be_sent_to_another_process(real_kernel: Kernel) -> None:
    engine = engine_of_image(Path(image_of(real_kernel)), None, None)
    assert pickle.loads(pickle.dumps(engine)) == engine
    assert real_kernel.image.digest in engine.identity


@ARM64
@pytest.mark.slow
def test_kernels_of_arm64_are_explored_though_their_spin_locks_are_inline(real_kernel: Kernel) -> None:
    options = ("--engine", "kernel", "--image", image_of(real_kernel), "--split")
    (one,) = as_json("explore", *options, "--actors", "optimize A, optimize B")["configurations"]
    assert one["complete"]
    assert not one["findings"]
    assert one["classes"] > 4  # each access to the word of the lock is a step
