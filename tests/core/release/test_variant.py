# SPDX-License-Identifier: GPL-2.0-only
"""Every fact about a variant has a meaning and a text."""

from __future__ import annotations

from dataclasses import fields

from hvolab.release import HvoVariant
from hvolab.release.releases import V6_1, V6_12


def test_every_fact_has_a_meaning() -> None:
    assert all(fact.metadata["meaning"] for fact in fields(HvoVariant))


def test_gfp_masks_are_shown_as_the_kernel_writes_them() -> None:
    show = {fact.name: fact.metadata["show"] for fact in fields(HvoVariant)}
    assert show["head_gfp"](V6_12.variant.head_gfp) == "GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN"
    assert show["head_gfp"](V6_1.variant.head_gfp) == "None"
    assert show["walks_head"](V6_12.variant.walks_head) == "True"
