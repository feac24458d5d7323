# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariant: stores."""

from __future__ import annotations

from typing import Any

from hvolab.hvo import Hvo, VmemmapPageAllocator
from tests.core.invariants.mutants import SMALL, broken, grown, pools, watched


class LateFlag(Hvo):
    """Sets the optimized flag after the remap, as kernels before the batching series did."""

    def _set_optimized(self, folio: int, *, optimized: bool) -> None:
        if not optimized or self.machine.key < 0:
            super()._set_optimized(folio, optimized=optimized)

    def _optimize(self, h: Any, folio: int, pages: VmemmapPageAllocator, flags: int) -> int:
        result = super()._optimize(h, folio, pages, flags)
        super()._set_optimized(folio, optimized=not result)
        return result


def test_a_flag_that_is_set_after_the_copy_breaks_rule_6() -> None:
    lab = pools(SMALL)
    lab.pools[0].hvo = LateFlag(lab.machine)
    findings = watched(lab, lambda: grown(lab))
    assert "stores" in broken(findings)
    assert any("is lost" in finding.what for finding in findings)
    assert next(finding.since for finding in findings if finding.rule == "stores")
