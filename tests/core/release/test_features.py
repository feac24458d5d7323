# SPDX-License-Identifier: GPL-2.0-only
"""Every feature of a kernel's HVO has a question that an image can answer."""

from __future__ import annotations

from hvolab.release import Evidence, KernelFeature


def test_every_feature_has_a_question() -> None:
    for feature in KernelFeature:
        assert feature.question.names
        members = [name for name in feature.question.names if "." in name]
        assert bool(members) == (feature.question.evidence is Evidence.MEMBER)
