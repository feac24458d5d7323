# SPDX-License-Identifier: GPL-2.0-only
"""Rules on the kernel's machine, whether the engine agrees or not."""

from __future__ import annotations

import pickle
from functools import partial

import pytest

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import MachineSpec, build_machine
from hvolab.release.faults import LOST_HEADS, RESTORED_AS_HEADS, SKIPPED_GRACE_PERIOD
from hvolab.release.releases import V6_12, V6_12_117
from hvolab_kernel.comparison import Comparer, scenarios_of, target_of
from hvolab_kernel.comparison.comparer import ComparisonCase
from hvolab_kernel.comparison.judgment import KernelFindings, KernelJudge
from hvolab_kernel.identify.release import release_of
from hvolab_vmlinux.kernel import Kernel
from tests.machines import MIB, x86_64
from tests.plugins.hvolab_kernel.cli_runner import hvolab, image_of
from tests.plugins.hvolab_kernel.kernel_machines import EACH, FOLIOS
from tests.schemas import fitting

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

_REASONS = ("corrupted mapping in tail page", "PAGE_FLAGS_CHECK_AT_FREE flag(s) set", "nonzero mapcount")


@pytest.mark.parametrize(("release", "kinds"), [(V6_12, 0), (V6_12_117, 3)], ids=["6.12", "6.12.117"])
def test_folios_of_several_machines_are_freed_and_counted_together(release: object, kinds: int) -> None:
    judge = KernelJudge()
    together: KernelFindings | None = None
    for _ in range(2):
        machine = build_machine(x86_64(release=release), MachineSpec(memory=256 * MIB))
        h, hvo = hstates(machine)[0], Hvo(machine)
        pool = Pool(machine, h, hvo)
        with judge.watch(machine, entries=True):
            pool.set_max_huge_pages(3)
            first, *others = sorted(pool.live)
            hvo.restore_folio(h, first)
        judge.free(machine, [first, *others], h.order)
        together = together or KernelFindings(machine.target, partial(getattr, machine.struct_pages, "layout"))
        together.add(pickle.loads(pickle.dumps(judge.take())))  # as another process sends it
    assert together is not None
    found = [finding for finding in together.findings if finding.rule == "freeing"]
    assert len(found) == kinds
    assert all(" of 2 freed folios of 2 MiB; " in finding.what for finding in found)


@pytest.mark.slow
@EACH
def test_the_command_reports_a_faulty_kernel_although_the_model_agrees(real_kernel: Kernel) -> None:
    release = release_of(real_kernel)
    arguments = ("kernel", image_of(real_kernel), "--scenario", "2M boot: restore next to")
    done = hvolab(*arguments, "--json")
    data = fitting("kernel", done.stdout)
    assert data["disagreements"] == []
    found = {finding["what"].partition(":")[0]: finding for finding in data["findings"] if finding["rule"] == "freeing"}
    faulty = RESTORED_AS_HEADS in release.faults
    assert done.exit_code == faulty
    assert set(found) == (set(_REASONS) if faulty else set())
    assert {finding["fault"] for finding in found.values()} == ({RESTORED_AS_HEADS} if faulty else set())
    if faulty:
        assert found["nonzero mapcount"]["what"].startswith("nonzero mapcount: ")
        text = hvolab(*arguments).stdout
        # arm64 does not allow a live entry to be replaced by a store, and declares it
        rules = [finding["rule"] for finding in data["findings"] if not finding["declared"]]
        assert (len(rules), set(rules)) == (4, {"freeing", "content"})
        assert f"{len(data['findings'])} findings about the kernel. No disagreement in " in " ".join(text.split())


@FOLIOS
@pytest.mark.parametrize(
    ("scenario", "fault", "rules"),
    [
        ("2M boot: batch, the first optimized already", SKIPPED_GRACE_PERIOD, {"grace_periods"}),
        pytest.param("1G boot: optimize", LOST_HEADS, {"counters", "ownership"}, marks=pytest.mark.slow),
    ],
    ids=["a grace period is skipped", "a head page is lost"],
)
def test_other_faults_of_6_12_117_are_findings_on_its_image(
    real_kernel: Kernel, scenario: str, fault: str, rules: set[str]
) -> None:
    target = target_of(real_kernel)
    comparer = Comparer(target, real_kernel)
    chosen = next(one for one in scenarios_of(target) if one.name == scenario)
    results = [comparer.run(ComparisonCase(chosen, failing)) for failing in ((), (3,))]
    assert [result.differences for result in results] == [(), ()]
    found = [one for result in results for one in result.evidence.found]
    assert {one.rule for one in found if one.fault == fault} == (rules if fault in target.release.faults else set())
    assert all(one.declared or one.fault for one in found)
