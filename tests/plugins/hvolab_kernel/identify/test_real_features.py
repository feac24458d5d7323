# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels, where they were fetched, and kernels that the caller gives: the release of their HVO."""

from __future__ import annotations

import pytest

from hvolab.release import KernelFeature
from hvolab_kernel.code.listing import list_function
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel


@pytest.mark.parametrize(
    ("real_kernel", "release"),
    [
        ("x86_64-6.1", "6.1"),
        ("x86_64-6.12", "6.12.117"),
        ("riscv64-6.12", "6.12.117"),
        ("arm64-6.12-hvo", "6.12.117"),
        ("arm64-6.12-hvo-plain", "6.12.117"),
        ("x86_64-7.x", "7.2"),
        ("riscv64-7.x", "7.2"),
        ("arm64-6.12", None),
        ("arm64-7.x", None),
    ],
    indirect=["real_kernel"],
)
def test_features_name_the_release(real_kernel: Kernel, release: str | None) -> None:
    found = features_of(real_kernel)
    assert (None if found.release is None else found.release.name) == release
    assert found.summary.startswith("it has no HVO" if release is None else f"it has HVO as in {release}")


def test_an_image_that_the_caller_gives_is_read_and_its_hvo_named(given_kernel: Kernel) -> None:
    assert given_kernel.image.segments
    found = features_of(given_kernel)
    assert found.summary
    if found.has(KernelFeature.FOLIOS):
        listing = list_function(given_kernel, "hugetlb_vmemmap_optimize_folio")
        assert listing.lines
