# SPDX-License-Identifier: GPL-2.0-only
"""Every mode that hvolab describes: its figures, and `hvolab run` in it.

The figures are those of Documentation/mm/vmemmap_dedup.rst and of each architecture's memory layout, written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hvolab.plugin import registry
from tests.core.cli.conftest import Invoke
from tests.samples import one_in

Sizes = dict[str, tuple[int, int]]
#: Huge page size -> pages of vmemmap (rounded up), frames that HVO saves.
_SIZES_4K: Sizes = {"64K": (1, 0), "2M": (8, 7), "32M": (128, 127), "1G": (4096, 4095)}
_SIZES_16K: Sizes = {"2M": (1, 0), "32M": (8, 7), "1G": (256, 255)}
_SIZES_64K: Sizes = {"2M": (1, 0), "512M": (8, 7), "16G": (256, 255)}
_SIZES: Sizes = {"2M": (8, 7), "1G": (4096, 4095)}

#: (architecture, mode) -> page size in KiB, bits of VA, levels, VA of the vmemmap, sizes.
MODES: dict[tuple[str, str], tuple[int, int, int, int, Sizes]] = {
    ("x86_64", "4-level"): (4, 48, 4, 0xFFFFEA0000000000, _SIZES),
    ("x86_64", "5-level"): (4, 57, 5, 0xFFD4000000000000, _SIZES),
    ("arm64", "4K-39bit"): (4, 39, 3, 0xFFFFFFFEC0000000, _SIZES_4K),
    ("arm64", "4K-48bit"): (4, 48, 4, 0xFFFFFDFFC0000000, _SIZES_4K),
    ("arm64", "4K-52bit"): (4, 52, 5, 0xFFFFC1FFC0000000, _SIZES_4K),
    ("arm64", "16K-36bit"): (16, 36, 2, 0xFFFFFFFFB8000000, _SIZES_16K),
    ("arm64", "16K-47bit"): (16, 47, 3, 0xFFFFFFBFC0000000, _SIZES_16K),
    ("arm64", "16K-48bit"): (16, 48, 4, 0xFFFFFF7FC0000000, _SIZES_16K),
    ("arm64", "16K-52bit"): (16, 52, 4, 0xFFFFF03FC0000000, _SIZES_16K),
    ("arm64", "64K-42bit"): (64, 42, 2, 0xFFFFFFFF40000000, _SIZES_64K),
    ("arm64", "64K-48bit"): (64, 48, 3, 0xFFFFFFDFC0000000, _SIZES_64K),
    ("arm64", "64K-52bit"): (64, 52, 3, 0xFFFFFC1FC0000000, _SIZES_64K),
    ("riscv", "Sv39"): (4, 39, 3, 0xFFFFFFC500000000, _SIZES),
    ("riscv", "Sv48"): (4, 48, 4, 0xFFFF8D8000000000, _SIZES),
    ("riscv", "Sv57"): (4, 57, 5, 0xFF1C000000000000, _SIZES),
}
FEATURES = [
    (architecture.name, mode.name, feature.name)
    for architecture in registry().architectures().values()
    for feature in architecture.features
    for mode in architecture.modes
    if mode.name in (feature.modes or (architecture.modes[0].name,))
]


def test_json_lists_fifteen_modes_and_no_other(invoke_json: Callable[..., Any]) -> None:
    found = {(one["name"], mode["name"]) for one in invoke_json("arches") for mode in one["modes"]}
    assert found >= set(MODES)
    assert {pair for pair in found if pair[0] in {"x86_64", "arm64", "riscv"}} == set(MODES)


@pytest.mark.parametrize(("architecture", "mode"), MODES)
def test_a_mode_has_the_figures_of_the_kernels_documents(
    invoke_json: Callable[..., Any], architecture: str, mode: str
) -> None:
    (described,) = invoke_json("arches", architecture)
    (listed,) = (one for one in described["modes"] if one["name"] == mode)
    sizes = {huge["name"]: (max(1, huge["vmemmap_pages"]), huge["frames_saved"]) for huge in listed["huge_pages"]}
    assert (
        listed["page_size"] >> 10,
        listed["va_bits"],
        len(listed["levels"]),
        int(listed["vmemmap_base"], 16),
        sizes,
    ) == MODES[architecture, mode]


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "mode"), one_in(2, list(MODES), "-".join))
def test_run_does_its_job_in_every_mode(invoke_json: Callable[..., Any], architecture: str, mode: str) -> None:
    report = invoke_json("run", "--arch", architecture, "--mode", mode)
    assert report["frames_saved"] > 0
    assert all(finding["declared"] for finding in report["findings"])


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "mode", "feature"), one_in(2, FEATURES, "-".join))
def test_run_does_its_job_with_every_feature(invoke: Invoke, architecture: str, mode: str, feature: str) -> None:
    result = invoke("run", "--arch", architecture, "--mode", mode, "--feature", feature)
    assert result.exit_code == 0, result.output
    assert "All as declared" in result.stdout
