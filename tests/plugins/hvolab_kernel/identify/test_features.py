# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel has of HVO, told by what is in the image, whatever its release says."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import pytest

from hvolab.release import RELEASES, KernelFeature, KernelRelease
from hvolab.release.releases import V6_1, V6_12, V6_12_117, V7_2
from hvolab_kernel.identify.features import Answer, HvoFeatures, features_of
from hvolab_vmlinux import open as reading
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import x86_call, x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder, hvo_types
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, addresses, elf_image


def told(made: MadeUp) -> HvoFeatures:
    return features_of(read_kernel(elf_image(made), "here"))


def having(features: AbstractSet[KernelFeature], unknown: AbstractSet[KernelFeature] = frozenset()) -> HvoFeatures:
    """Return the features of a kernel that has these."""
    answers = (Answer(one, None if one in unknown else one in features, "made up") for one in KernelFeature)
    return HvoFeatures(None, "", tuple(answers))


def test_a_kernel_like_6_12_is_known() -> None:
    found = told(x86_kernel_like_6_12())
    assert (found.release, found.summary) == (V6_12, "it has HVO as in 6.12")
    had = {feature for feature in KernelFeature if found.has(feature)}
    assert V6_12.features <= had
    assert KernelFeature.SHARES_TAIL_PAGE not in had
    assert "hugetlb_vmemmap_optimize_folio calls copy_page" in {one.found for one in found.features}


def test_a_kernel_with_shared_tails_is_7_whatever_its_release() -> None:
    symbols = tuple(name for name in HVO_6_12 if name != "hugetlb_optimize_vmemmap_key")
    where = addresses(MadeUp(symbols=symbols, btf=hvo_types(shared_tails=True)))
    at = where["hugetlb_vmemmap_optimize_folio"]
    code = {"hugetlb_vmemmap_optimize_folio": x86_call(at, where["copy_page"]) + b"\xc3"}
    assert told(MadeUp(symbols=symbols, btf=hvo_types(shared_tails=True), code=code)).release is V7_2


def test_a_kernel_that_optimizes_head_pages_is_6_1() -> None:
    symbols = ("hugetlb_vmemmap_optimize", "hugetlb_vmemmap_restore", "hugetlb_optimize_vmemmap_key", "copy_page")
    assert told(MadeUp(symbols=symbols, btf=hvo_types(flags=False))).release is V6_1


def test_a_kernel_without_hvo_is_said_to_have_none() -> None:
    found = told(MadeUp(symbols=("copy_page", "memmap_pages_add")))
    assert found.release is None
    assert found.summary.startswith("it has no HVO: neither hugetlb_vmemmap_optimize_folio nor")


def test_a_mixture_is_no_release_and_has_a_nearest_one() -> None:
    found = told(MadeUp(symbols=(*HVO_6_12, "hugetlb_vmemmap_optimize"), btf=hvo_types(shared_tails=True)))
    assert found.release is None
    assert found.nearest is V7_2
    assert {one.feature for one in found.against(V7_2)} == {
        KernelFeature.HEADS,
        KernelFeature.MOVES_HEAD,
        KernelFeature.STATIC_KEY,
    }
    assert found.summary == (
        "it has HVO, with the features of no known release; the nearest by features is 7.2, "
        "not verified by running its code"
    )


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_each_release_is_nearest_to_itself_or_to_one_with_the_same_features(release: KernelRelease) -> None:
    nearest = having(release.features).nearest
    assert nearest is not None
    assert nearest.features == release.features
    assert RELEASES.index(nearest) <= RELEASES.index(release)


def test_of_two_releases_that_are_as_near_the_later_one_is_taken() -> None:
    between = V6_12.features | {KernelFeature.HEADS}
    found = having(between - {KernelFeature.COUNTERS, KernelFeature.WAITS_FOR_RCU})
    assert len(found.against(V6_1)) == len(found.against(V6_12)) == 3
    assert found.nearest is V6_12


def test_a_feature_that_is_not_known_speaks_against_no_release() -> None:
    found = having(V7_2.features, unknown={KernelFeature.SHARES_TAIL_PAGE})
    assert found.against(V7_2) == ()
    assert {one.feature for one in found.against(V6_12_117)} == {KernelFeature.STATIC_KEY, KernelFeature.WAITS_FOR_RCU}


def test_without_type_information_what_it_would_tell_is_left_open() -> None:
    made = x86_kernel_like_6_12()
    found = told(MadeUp(code=made.code, btf=b""))
    assert found.release is V6_12
    assert (
        "(not checked, for lack of BTF: tails share one page per zone and order, walk names head and tail page)"
        in found.summary
    )


def test_without_symbols_nothing_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "symbols_by_vmlinux_to_elf", lambda _content: None)
    found = told(MadeUp(layout=""))
    assert found.release is None
    assert found.summary.startswith("cannot determine whether it has HVO: it has no symbols")


def test_6_12_and_its_stable_releases_differ_in_the_walk() -> None:
    made = x86_kernel_like_6_12()
    built = BtfBuilder()
    long = built.integer("long unsigned int", 8)
    built.struct("vmemmap_remap_walk", 16, [("flags", long, 0), ("vmemmap_tail", long, 64)])
    assert told(MadeUp(code=made.code, btf=built.content())).release is V6_12_117
