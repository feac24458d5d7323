# SPDX-License-Identifier: GPL-2.0-only
"""Made cores: their VMCOREINFO and vmemmap are as the kernels' of the captures."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from hvolab_vmcore.core.elfcore import open_core
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_vmcore.changed_cores import CAPTURES
from tests.plugins.hvolab_vmcore.kernel_cores import FOLDER, MADE, STAGES, cores_of


def info_of(core: Path) -> VmcoreInfo:
    info = open_core(core).vmcoreinfo
    assert info is not None
    return info


@pytest.mark.parametrize("real_kernel", list(MADE), indirect=True)
def test_the_stored_cores_are_those_that_the_image_makes(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("unicorn", reason="unicorn is not installed: pip install 'hvolab[emulation]'")
    folder = FOLDER / MADE[request.node.callspec.params["real_kernel"]]
    stored = [(folder / f"{stage}.core.xz").read_bytes() for stage in STAGES]
    release = info_of(folder / "0-boot.core.xz").osrelease
    if release != real_kernel.image.release:
        pytest.skip(f"the stored cores are of {release}: python -m tests.plugins.hvolab_vmcore.kernel_cores")
    assert list(cores_of(real_kernel)) == [lzma.decompress(content) for content in stored]


def test_the_text_is_the_one_that_a_booted_kernel_had() -> None:
    booted = info_of(CAPTURES / "x86_64-6.12.117-default" / "optimised.core.xz")
    made = info_of(FOLDER / "x86_64-6.12.117" / "0-boot.core.xz")
    differing = {key for key in {**booted.raw, **made.raw} if booted.raw.get(key) != made.raw.get(key)}
    assert differing <= {"BUILD-ID", "SYMBOL(mem_section)", "NUMBER(phys_base)"}


def test_each_release_has_the_keys_of_its_struct_page() -> None:
    infos = {name: info_of(FOLDER / name / "0-boot.core.xz") for name in MADE.values()}
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
