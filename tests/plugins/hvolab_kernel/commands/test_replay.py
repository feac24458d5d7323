# SPDX-License-Identifier: GPL-2.0-only
"""What booted kernels did between two memory cores, done again by a kernel image's own compiled code."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from hvolab.hvo import HvoEngine
from hvolab.machine import Machine
from hvolab.release import DEFAULT
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.running import KernelHvo
from hvolab_vmcore.replay.replay import Replay, replay
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import hvolab, image_of
from tests.plugins.hvolab_vmcore.changed_cores import (
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    STAGES,
    in_folder,
    made,
)
from tests.plugins.hvolab_vmcore.kernel_cores import MADE

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

#: The captured boot of each image.
BOOTED = {
    "x86_64-6.1": "x86_64-6.1-4level",
    "x86_64-6.12": "x86_64-6.12.117-4level",
    "x86_64-7.x": "x86_64-7.2-4level",
    "riscv64-6.12": "riscv64-6.12.117-sv48",
    "riscv64-7.x": "riscv64-7.2-sv48",
}
EACH = pytest.mark.parametrize(
    ("real_kernel", "folder"),
    [("x86_64-6.12", "x86_64-6.12-4level"), ("riscv64-6.12", "riscv64-6.12-sv57")],
    indirect=["real_kernel"],
)
X86 = pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)


def replayed(kernel: Kernel, before: Path, after: Path) -> Replay:
    def engine(machine: Machine) -> HvoEngine:
        return KernelHvo(machine, kernel)

    return replay(before, after, engine=engine)


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("place", range(3))
def test_a_kernels_code_leaves_what_the_booted_kernel_left_but_for_its_release(
    real_kernel: Kernel, folder: str, place: int
) -> None:
    first, last = STAGES[folder][place : place + 2]
    outcome, ours = replayed(real_kernel, first, last), replay(first, last)
    assert outcome.plan == ours.plan
    assert outcome.entries_compared == ours.entries_compared
    assert outcome.struct_pages_compared == ours.struct_pages_compared
    release = release_of(real_kernel)
    assert outcome.release is release
    if release in {ours.choice.release, *ours.choice.as_well} or not outcome.plan.restored:
        assert outcome.differences == ()
    else:  # pages of restored tails are whole copies of the head's
        assert outcome.differences_found > 300
        assert {one.kind for one in outcome.differences} == {"struct-page.restored"}
        assert {one.va % 4096 // 64 for one in outcome.differences} <= {0, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("real_kernel", "before", "after"),
    [
        pytest.param(image, before, after, id=in_folder(after))
        for image, folder in BOOTED.items()
        for before, after in pairwise(STAGES[folder])
    ],
    indirect=["real_kernel"],
)
def test_a_kernels_code_leaves_what_a_booted_kernel_of_its_release_left(
    real_kernel: Kernel, before: Path, after: Path
) -> None:
    outcome = replayed(real_kernel, before, after)
    assert outcome.differences == ()
    assert outcome.release is release_of(real_kernel)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("real_kernel", "made_kernel"), [(image, kernel) for image, kernel in MADE.items()], indirect=["real_kernel"]
)
@pytest.mark.parametrize(
    ("before", "after"), [("0-boot", "3-one-1G"), ("3-one-1G", "4-restored"), ("4-restored", "5-optimized-again")]
)
def test_a_kernels_code_repeats_what_a_kernel_of_its_release_left(
    real_kernel: Kernel, made_kernel: str, before: str, after: str
) -> None:
    outcome = replayed(real_kernel, made(made_kernel, before), made(made_kernel, after))
    assert outcome.differences == ()
    assert outcome.release is release_of(real_kernel)


@pytest.mark.slow
@X86
def test_the_command_takes_an_image_and_names_its_release(real_kernel: Kernel) -> None:
    image = image_of(real_kernel)
    done = hvolab("replay", str(OPTIMIZED_2M), str(OPTIMIZED_1G), "--engine", "kernel", "--image", image)
    assert done.exit_code == 0
    assert "differences: none" in done.stdout
    done = hvolab("replay", str(OPTIMIZED_1G), str(RESTORED), "--engine", "kernel", "--image", image)
    if release_of(real_kernel) is DEFAULT:
        assert done.exit_code == 0
    else:
        assert done.exit_code == 1
        output = " ".join(done.stdout.split())
        assert f"the engine is of release {release_of(real_kernel)}, the cores of 6.12:" in output
        assert "A restored tail page is a copy of the page that its entry maps" in output


def test_a_kernel_is_asked_for_and_the_model_has_no_use_for_one() -> None:
    done = hvolab("replay", str(OPTIMIZED_2M), str(OPTIMIZED_1G), "--engine", "kernel")
    assert (done.exit_code, "name a kernel image: --image FILE" in done.stderr) == (2, True)
    done = hvolab("replay", str(OPTIMIZED_2M), str(OPTIMIZED_1G), "--image", "vmlinuz")
    assert (done.exit_code, "add --engine kernel" in done.stderr) == (2, True)
