# SPDX-License-Identifier: GPL-2.0-only
"""Release that a kernel is taken for: by features, the nearest, or as the user names it; and the reason."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.release.releases import MM_2026, V6_1, V6_12, V7_2
from hvolab_kernel.identify.release import identify, release_of, require_agreement
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import like_7_3, x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image


def test_a_kernel_with_the_features_of_a_release_needs_no_reason() -> None:
    kernel = read_kernel(elf_image(x86_kernel_like_6_12()), "here")
    identification = identify(kernel)
    assert (identification.release, identification.found, identification.notes) == (V6_12, V6_12, ())
    require_agreement(kernel, identification)
    assert release_of(kernel) is V6_12


@pytest.mark.parametrize(
    ("more", "difference"),
    [
        (
            ("hugetlb_optimize_vmemmap_key",),
            "static key: yes in the image (symbol hugetlb_optimize_vmemmap_key), no in 7.2. 7.2: No static key",
        ),
        (
            ("-hugetlb_vmemmap_optimize_folios",),
            "batches: no in the image (no symbol hugetlb_vmemmap_optimize_folios), yes in 7.2. 6.12:",
        ),
    ],
    ids=["one more", "one less"],
)
def test_a_kernel_with_one_feature_more_or_less_is_taken_for_the_nearest(
    more: tuple[str, ...], difference: str
) -> None:
    kernel = read_kernel(elf_image(like_7_3(*more)), "here")
    identification = identify(kernel)
    assert (identification.release, identification.found) == (V7_2, None)
    reason, found = identification.notes
    assert reason == (
        "The kernel has the features of no known release, and is taken for the nearest, 7.2. "
        "--release names another one."
    )
    assert found.startswith(difference)
    (answer,) = identification.differing
    assert all(str(change) in found for change in V7_2.changes if answer.feature in change.loses)
    require_agreement(kernel, identification)


def test_the_user_overrules_for_a_kernel_of_no_known_release() -> None:
    kernel = read_kernel(elf_image(like_7_3("hugetlb_optimize_vmemmap_key")), "here")
    identification = identify(kernel, V6_12)
    require_agreement(kernel, identification)
    assert identification.release is V6_12
    assert identification.notes[0].endswith("no known release, and is taken for 6.12 because of --release.")
    assert len(identification.notes) == 1 + len(identification.differing) > 2


def test_a_name_that_contradicts_the_features_of_a_known_release_is_refused() -> None:
    kernel = read_kernel(elf_image(x86_kernel_like_6_12()), "here")
    with pytest.raises(UsageError, match=r"the image has HVO as in 6\.12, which differs from 6\.1") as caught:
        require_agreement(kernel, identify(kernel, V6_1))
    assert "optimizes head pages, one by one: no in the image (no symbol hugetlb_vmemmap_opt" in caught.value.rule
    assert "hvolab kernel --release 6.1" in caught.value.hint
    # images of these two cannot be told apart
    require_agreement(kernel, identify(kernel, MM_2026))


def test_a_kernel_without_hvo_has_no_release() -> None:
    with pytest.raises(UsageError, match="the engine does not model this kernel's HVO: it has no HVO"):
        release_of(read_kernel(elf_image(MadeUp(symbols=("copy_page",))), "here"))
