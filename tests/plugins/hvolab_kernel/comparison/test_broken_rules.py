# SPDX-License-Identifier: GPL-2.0-only
"""Broken rules as data: kinds, and processes that send them."""

from __future__ import annotations

import pickle

from hvolab_kernel.comparison.broken_rules import BrokenRule


def test_breaches_of_one_kind_differ_in_numbers_only() -> None:
    one = BrokenRule("content", "tail 64 of folio PFN 0x18000 has no TAIL_MAPPING; VA 0x10", "VA 0x1")
    other = BrokenRule("content", "tail 7 of folio PFN 0x20000 has no TAIL_MAPPING", "VA 0x2")
    assert one.kind == other.kind
    assert one.kind != BrokenRule("result", other.what).kind
    assert pickle.loads(pickle.dumps(one)) == one
