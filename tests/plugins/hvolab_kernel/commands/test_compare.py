# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab kernel --callers` and `--quick`: the scenarios, the report, and kernels that it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab, image_of
from tests.plugins.hvolab_kernel.kernel_machines import X86

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


def test_the_scenarios_of_pools_are_listed_all_or_by_name(image: Path) -> None:
    every = as_json("kernel", image, "--callers", "--list")
    some = as_json("kernel", image, "--callers", "--list", "--scenario", "2M pool: grow over")
    assert len(every) > 30
    assert [(one["name"], one["nodes"], one["steps"]) for one in some] == [
        ("2M pool: grow over surplus", 1, ["resize(4)"])
    ]


def test_an_image_without_hugetlbs_functions_ends_with_a_hint_and_2(image: Path) -> None:
    result = hvolab("kernel", image, "--callers")
    assert result.exit_code == 2
    assert "without --callers" in result.stderr


@pytest.mark.slow
@X86
def test_the_report_names_what_is_omitted(real_kernel: Kernel) -> None:
    result = hvolab("kernel", image_of(real_kernel), "--callers", "--scenario", "2M pool: free in use")
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert "huge pages in use" in shown
    assert "No disagreement in 1 cases" in shown


def test_quick_scenarios_are_of_the_leaf_one_of_the_largest_and_what_is_not_optimized(image: Path) -> None:
    names = [one["name"] for one in as_json("kernel", image, "--list", "--quick")]
    assert len(names) > 40
    assert [name for name in names if not name.startswith("2M ")] == [
        *(f"256K {backing}: {title}" for backing in ("boot", "buddy") for title in ("optimize", "batch of one")),
        *("1G boot: optimize", "1G buddy: optimize"),
    ]
    pools = [one["name"] for one in as_json("kernel", image, "--list", "--quick", "--callers")]
    assert {name.partition(" ")[0] for name in pools} == {"2M"}
    arguments = ("kernel", image, "--list", "--quick", "--scenario", "1M")
    assert "no scenario's name contains '1M'" in hvolab(*arguments).stderr
