# SPDX-License-Identifier: GPL-2.0-only
"""The report of `hvolab kernel`, for people and as JSON."""

from __future__ import annotations

import pytest

from hvolab.cli.releases_report import UNKNOWN
from hvolab.release import DEFAULT, departures_of
from hvolab.release.releases import V6_12_117
from hvolab_kernel.identify.release import release_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab, image_of
from tests.plugins.hvolab_kernel.kernel_machines import OTHER_VARIANTS, X86, X86_6_1

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@pytest.mark.slow
@X86
def test_the_command_prints_a_summary_and_json_with_stable_keys(real_kernel: Kernel) -> None:
    image = image_of(real_kernel)
    done = hvolab("kernel", image, "--scenario", "2M boot: optimize twice")
    assert done.exit_code == 0
    assert "No disagreement in 1 cases of 1 scenarios" in done.stdout
    assert "page->lru of vmemmap pages" in done.stdout
    data = as_json("kernel", image, "--scenario", "2M boot: optimize twice")
    assert data["disagreements"] == []
    assert (data["architecture"], data["mode"], data["cases"], data["hvo"]) == (
        "x86_64",
        "4-level",
        1,
        release_of(real_kernel).name,
    )


@pytest.mark.slow
@X86
def test_a_disagreement_is_shown_and_ends_in_exit_code_1(real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    other = DEFAULT if release_of(real_kernel) is not DEFAULT else V6_12_117
    monkeypatch.setenv("COLUMNS", "200")
    done = hvolab(
        *("kernel", image_of(real_kernel), "--release", str(other)),
        *("--scenario", "2M boot: optimize again, its PMD split"),
    )
    assert done.exit_code == 1
    found = f"The kernel has the features of {release_of(real_kernel)}, and is taken for {other} because of --release."
    assert found in done.stdout
    assert "walk names head and tail page: " in done.stdout
    for text in ("2 disagreements", "2 duplicate cases skipped", "outside call 3 of optimize(0)", "__GFP_NORETRY"):
        assert text in done.stdout


@pytest.mark.slow
@OTHER_VARIANTS
def test_the_command_names_the_variant_and_its_differences_from_v6_12(real_kernel: Kernel) -> None:
    data = as_json("kernel", image_of(real_kernel), "--scenario", "1M boot: optimize")
    assert data["kernel"] == real_kernel.image.release
    assert (data["hvo"], data["release"]) in {("6.1", "6.1"), ("7.2", "7.2")}
    assert data["differing"] == []
    assert data["disagreements"] == []
    assert data["departures"] == list(departures_of(release_of(real_kernel)))


@pytest.mark.slow
@X86_6_1
def test_a_report_for_people_begins_with_the_differences_and_their_commits(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    done = hvolab("kernel", image_of(real_kernel), "--scenario", "1M boot: optimize")
    assert done.exit_code == 0
    assert "compared with the model of 6.1" in done.stdout
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    _, fewer = release_of(real_kernel).differences(DEFAULT)
    assert {f"{change.sentence} not yet {change.commit or UNKNOWN}" for change in fewer} <= set(rows)
    assert "No disagreement in 3 cases of 2 scenarios" in done.stdout


@pytest.mark.slow
@X86_6_1
def test_a_comparison_without_cases_is_no_agreement(real_kernel: Kernel) -> None:
    done = hvolab("kernel", image_of(real_kernel), "--scenario", "1M boot: optimize twice")
    assert done.exit_code == 0
    assert "Nothing was compared: no selected scenario applies to this kernel" in done.stdout
