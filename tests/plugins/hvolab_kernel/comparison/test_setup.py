# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab run --engine kernel` on the machine that an image needs, and kernels of no known release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hvolab.errors import UsageError
from hvolab.hvo import Hvo
from hvolab.release import DEFAULT, KernelFeature
from hvolab.release.faults import RESTORED_AS_HEADS, SKIPPED_GRACE_PERIOD
from hvolab.release.releases import V6_12_117
from hvolab.scenario import ScenarioResult, ScenarioSpec, parse_operations, run_data, run_scenario
from hvolab_kernel.comparison import target_of
from hvolab_kernel.comparison.setup import compare_quickly, setup_of
from hvolab_kernel.identify import features
from hvolab_kernel.identify.features import Answer
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab, image_of
from tests.plugins.hvolab_kernel.code.made_up_code import like_7_3
from tests.plugins.hvolab_kernel.kernel_machines import FETCHED, LATEST_6_12, SOME_FETCHED, X86
from tests.plugins.hvolab_vmlinux.made_up_kernels import elf_image
from tests.schemas import fitting

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

MIB, GIB = 1 << 20, 1 << 30
SMALL = ("--memory", "512M", "--hugepages", "2M=2")
X86_7 = pytest.mark.parametrize("real_kernel", ["x86_64-7.x"], indirect=True)
#: Allocations that fail in every test run: a page table, a head page, a page of a restored folio.
SOME = (1, 2, 5, 9)


def both(kernel: Kernel, **options: Any) -> tuple[ScenarioResult, ScenarioResult]:
    """Run the main job by the model of a kernel's release, and by the kernel's own code, on equal machines."""
    setup = setup_of(kernel, None)
    spec = replace(ScenarioSpec(target_of(kernel), 512 * MIB, hugepages={2 * MIB: 2}, engine=setup), **options)
    model, own = (run_scenario(replace(spec, engine=one)) for one in (replace(setup, make=Hvo), setup))
    return model, own


def check_same(model: ScenarioResult, own: ScenarioResult) -> None:
    """Check that both are as declared but for known faults of the release, and have the same JSON."""
    assert [finding for finding in own.findings if not finding.declared and not finding.fault] == []
    assert own.as_declared or RESTORED_AS_HEADS in own.spec.target.release.faults
    assert not own.warnings
    assert run_data(own) == run_data(model)


def mask(monkeypatch: pytest.MonkeyPatch, **present: bool) -> None:
    """Let images have some features, by their names in the enumeration, and lack others."""
    answer = features._answer

    def masked(kernel: Kernel, feature: KernelFeature) -> Answer:
        found = answer(kernel, feature)
        return replace(found, present=present[feature.name], found="masked") if feature.name in present else found

    monkeypatch.setattr(features, "_answer", masked)


@pytest.mark.slow
@FETCHED
def test_the_main_job_by_the_kernels_own_code_is_that_of_the_model_of_its_release(real_kernel: Kernel) -> None:
    check_same(*both(real_kernel, hugepages={2 * MIB: 5}))
    check_same(*both(real_kernel, memory=GIB, nodes=2, hugepages={2 * MIB: 4}))


@FETCHED
def test_requested_operations_by_the_kernels_own_code_are_those_of_the_model(real_kernel: Kernel) -> None:
    text = "optimize, surplus 2M 2, use 2M, dissolve 2M, resize 2M 1, free 2M 9, shrink"
    check_same(*both(real_kernel, operations=parse_operations(text, target_of(real_kernel))))


@pytest.mark.slow
@FETCHED
@pytest.mark.parametrize("number", SOME)
def test_a_failing_allocation_has_the_same_effect(real_kernel: Kernel, number: int) -> None:
    check_same(*both(real_kernel, fail_allocation=number))


@pytest.mark.long
@FETCHED
def test_every_failing_allocation_has_the_same_effect(real_kernel: Kernel) -> None:
    number, happened = 1, True
    while happened:
        model, own = both(real_kernel, fail_allocation=number)
        check_same(model, own)
        assert own.failed is not None
        number, happened = number + 1, own.failed.happened
    assert number > 12


@pytest.mark.slow
@FETCHED
def test_the_command_builds_the_machine_of_the_image(real_kernel: Kernel) -> None:
    image, release = image_of(real_kernel), release_of(real_kernel)
    data = as_json("run", "--engine", "kernel", "--image", image, "--memory", "1G", "--nodes", "2", *SMALL[2:])
    assert (data["release"], data["nodes"], data["as_declared"], data["notes"]) == (
        str(release),
        2,
        RESTORED_AS_HEADS not in release.faults,
        [],
    )
    assert data["architecture"] == target_of(real_kernel).architecture.name
    named = hvolab("run", "--engine", "kernel", "--image", image, "--release", str(release), *SMALL)
    assert named.exit_code == (RESTORED_AS_HEADS in release.faults)


@X86
def test_a_release_that_contradicts_the_image_ends_with_the_reason_and_2(real_kernel: Kernel) -> None:
    done = hvolab("run", "--engine", "kernel", "--image", image_of(real_kernel), "--release", "7.2")
    assert done.exit_code == 2
    text = " ".join(done.stderr.split())
    assert f"the image has HVO as in {release_of(real_kernel)}, which differs from 7.2" in text
    assert "static key: yes in the image (symbol hugetlb_optimize_vmemmap_key), no in 7.2" in text
    assert "hvolab kernel --release 7.2" in text


@X86_7
@pytest.mark.slow
@pytest.mark.parametrize(
    "present",
    [
        pytest.param({"WAITS_FOR_RCU": True}, id="one more"),
        pytest.param({"COUNTERS": False}, id="one less"),
    ],
)
def test_a_kernel_of_no_known_release_runs_as_the_nearest_once_it_was_compared(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch, present: dict[str, bool]
) -> None:
    mask(monkeypatch, **present)
    done = hvolab("run", "--engine", "kernel", "--image", image_of(real_kernel), *SMALL, "--json")
    assert done.exit_code == 0
    data = fitting("run", done.stdout)
    assert data["release"] == "7.2"
    reason, difference, compared = data["notes"]
    assert "the features of no known release, and is taken for the nearest, 7.2" in reason
    assert "(masked)" in difference
    assert compared.startswith("Compared with the model of 7.2 in ")
    assert compared.endswith("56 scenarios: no difference.")


@pytest.mark.slow
@X86
def test_what_differs_from_the_nearest_is_shown_and_the_user_overrules(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    if release_of(real_kernel) is not V6_12_117:
        pytest.skip(f"this kernel does not differ from 6.12; 6.12.117 does: {LATEST_6_12}")
    mask(monkeypatch, NAMES_HEAD_AND_TAIL=False, COUNTERS=False)
    setup = setup_of(replace(real_kernel), None)
    assert setup.release is DEFAULT
    reason, difference, compared, *cases = setup.notes
    assert "taken for the nearest, 6.12." in reason
    assert "memmap counters: no in the image (masked), yes in 6.12. 6.12: The pages" in difference
    assert compared.endswith(" differ. hvolab kernel shows all.")
    assert len(cases) == 3
    assert cases[0].startswith("2M boot: optimize: outside call ")
    assert "__GFP_NORETRY" in cases[0]
    named = setup_of(replace(real_kernel), "6.12.117")
    assert named.release is V6_12_117
    assert len(named.notes) == 3
    assert named.notes[0].endswith("taken for 6.12.117 because of --release.")


def test_a_kernel_of_no_known_release_that_cannot_be_run_is_refused() -> None:
    kernel = read_kernel(elf_image(like_7_3("hugetlb_optimize_vmemmap_key")), "here")
    with pytest.raises(
        UsageError, match=r"cannot determine whether this kernel's HVO does what that of 7\.2 does: "
    ) as why:
        setup_of(kernel, None)
    assert why.value.hint == "name the release to model, without a comparison: --release"


@pytest.mark.slow
@X86_7
def test_an_image_of_no_known_release_says_so_in_every_command(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask(monkeypatch, WAITS_FOR_RCU=True)
    monkeypatch.setenv("COLUMNS", "250")
    image = image_of(real_kernel)
    shown = hvolab("image", image)
    assert "the nearest by features is 7.2, not verified by running its code" in shown.stdout
    assert "differs from 7.2  waits for RCU: yes in the image (masked), no in 7.2. 6.12: An RCU grace" in shown.stdout
    hvo = as_json("image", image)["hvo"]
    assert (hvo["release"], hvo["nearest"], len(hvo["differing"])) == (None, "7.2", 1)
    compared = hvolab("kernel", image, "--scenario", "2M boot: optimize twice")
    assert compared.exit_code == 0
    assert "taken for the nearest, 7.2. --release names another one." in compared.stdout
    data = as_json("kernel", image, "--scenario", "2M boot: optimize twice")
    assert (data["hvo"], data["release"], len(data["differing"])) == (None, "7.2", 1)


@pytest.mark.slow
@SOME_FETCHED
def test_the_quick_comparison_finds_no_difference_and_the_known_faults_of_the_kernels_release(
    real_kernel: Kernel,
) -> None:
    """Only 6.12.117 has faults that HVO alone shows; a third one needs a gigantic folio and a failing allocation."""
    target = target_of(real_kernel)
    result = compare_quickly(real_kernel, target)
    assert result.disagreements == {}
    faults = {RESTORED_AS_HEADS, SKIPPED_GRACE_PERIOD}
    assert {finding.fault for finding in result.findings} == faults.intersection(target.release.faults)
    assert not any(finding.declared for finding in result.findings)
    assert any(name.startswith("1G ") for name in result.per_scenario)
    assert result.cases > 60


@FETCHED
def test_the_machine_has_the_kernels_struct_page_layout(real_kernel: Kernel) -> None:
    setup = setup_of(real_kernel, None)
    assert setup.layout == struct_page_layout(real_kernel)
    assert setup.mode == target_of(real_kernel).mode.name
