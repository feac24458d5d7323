# SPDX-License-Identifier: GPL-2.0-only
"""Made cores: their VMCOREINFO and vmemmap are as the kernels' of the captures."""

from __future__ import annotations

import lzma
from itertools import pairwise
from pathlib import Path

import pytest

from hvolab_kernel.identify.release import release_of
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_vmcore.changed_cores import MADE_STATES, WRONG_OPTIMIZED, made
from tests.plugins.hvolab_vmcore.kernel_cores import MADE, SMALL, STAGES, KernelMachine, cores_of


def info_of(core: Path) -> VmcoreInfo:
    info = open_core(core).vmcoreinfo
    assert info is not None
    return info


@pytest.mark.slow
@pytest.mark.parametrize("real_kernel", list(MADE), indirect=True)
def test_the_stored_cores_are_those_that_the_image_makes(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("unicorn", reason="unicorn is not installed: pip install 'hvolab[emulation]'")
    folder = MADE[request.node.callspec.params["real_kernel"]]
    stored = [made(folder, stage).read_bytes() for stage in STAGES]
    release = info_of(made(folder, "0-boot")).osrelease
    if release != real_kernel.image.release:
        pytest.skip(f"the stored cores are of {release}: python -m tests.plugins.hvolab_vmcore.kernel_cores")
    assert tuple(STAGES) == MADE_STATES
    assert list(cores_of(real_kernel)) == [lzma.decompress(content) for content in stored]


def test_the_text_is_the_one_that_a_booted_kernel_had() -> None:
    booted = info_of(WRONG_OPTIMIZED)
    ours = info_of(made("x86_64-6.12.117", "0-boot"))
    differing = {key for key in {**booted.raw, **ours.raw} if booted.raw.get(key) != ours.raw.get(key)}
    assert differing <= {"BUILD-ID", "SYMBOL(mem_section)", "NUMBER(phys_base)"}


def test_each_release_has_the_keys_of_its_struct_page() -> None:
    infos = {name: info_of(made(name, "0-boot")) for name in MADE.values()}
    old = infos["x86_64-6.1"]
    assert (old.offset("page.compound_dtor"), old.offset("page.compound_order"), old.symbol("vmemmap")) == (
        16,
        17,
        None,
    )
    assert (old.number("HUGETLB_PAGE_DTOR"), old.number("PG_head_mask")) == (2, 1 << 16)
    assert {name for name, info in infos.items() if info.offset("page.compound_info") == 8} == {
        "x86_64-7.2",
        "riscv64-7.2",
    }


@pytest.mark.slow
@pytest.mark.parametrize("real_kernel", list(MADE), indirect=True)
def test_a_core_of_all_memory_is_replayed_without_assumptions(real_kernel: Kernel, tmp_path: Path) -> None:
    pytest.importorskip("unicorn", reason="unicorn is not installed: pip install 'hvolab[emulation]'")
    cores: list[Path] = []
    machine = KernelMachine(real_kernel, {SMALL: 2}, memory=256 << 20)
    for count in (0, 2, 0):
        machine.set_huge_pages(SMALL, count)
        cores.append(tmp_path / f"{len(cores)}.core")
        cores[-1].write_bytes(machine.core(whole=True))
    for before, after in pairwise(cores):
        outcome = replay(before, after)
        assert outcome.differences == ()
        assert "records of frames behind the vmemmap" not in {one.what for one in outcome.left_out}
    assert open_scan(cores[1]).kinds() == {}
    assert outcome.release in {release_of(real_kernel), *outcome.choice.as_well}
