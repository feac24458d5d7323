# SPDX-License-Identifier: GPL-2.0-only
"""A target by its names: what each result says of the target that it is of."""

from __future__ import annotations

from hvolab.arch.target_data import TargetData, target_as_dict
from hvolab.plugin import registry


def test_a_target_has_the_names_that_select_it() -> None:
    target = registry().architecture("x86_64").select(features=("pti",))
    data = TargetData(**target_as_dict(target))
    assert data == TargetData("x86_64", "4-level", "linux", "6.12", ("pti",))
    again = registry().architecture(data.architecture).select(data.mode, profile=data.profile, features=data.features)
    assert target_as_dict(again) == target_as_dict(target)
