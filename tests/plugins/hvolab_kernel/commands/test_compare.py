# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab kernel --callers`: its scenarios, its report, and kernels that it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_kernel.commands.compare import compare_callers
from hvolab_kernel.comparison import target_of
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab
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


@X86
def test_the_report_names_what_is_omitted(real_kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    target = target_of(real_kernel)
    assert compare_callers(real_kernel, target, ["2M pool: free in use"], every=False, listed=False, json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "huge pages in use" in shown
    assert "No disagreement in 1 cases" in shown
