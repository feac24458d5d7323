"""The observer views the first folio of each size before and after its batch, and changes nothing."""

from __future__ import annotations

from hvolab.hugetlb import Pool
from hvolab.machine import MachineSpec
from hvolab.scenario.observer import Observer
from tests.machines import MIB, pools


def test_the_first_folio_of_the_first_batch_is_viewed_before_and_after() -> None:
    lab = pools(MachineSpec(memory=256 * MIB))
    observer = Observer(lab.hvo)
    pool = Pool(lab.machine, lab.pools[0].h, observer)
    pool.set_max_huge_pages(2)
    [seen] = observer.observed.values()
    assert seen.folio in pool.live
    assert [run.level for run in seen.before.runs] == ["pmd"]
    assert [(run.level, run.writable) for run in seen.after.runs] == [("pte", True), ("pte", False)]
    pool.set_max_huge_pages(0)
    pool.set_max_huge_pages(1)
    assert observer.observed == {pool.h.order: seen}
    assert lab.machine.key == 1
