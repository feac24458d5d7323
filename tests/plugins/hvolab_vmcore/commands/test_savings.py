# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab savings` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_1G
from tests.plugins.hvolab_vmcore.command_line import as_json, assert_refused, hvolab
from tests.plugins.hvolab_vmcore.savings.machines_on_disk import write_machine


def test_a_dump_and_a_plan_are_shown() -> None:
    result = hvolab("savings", OPTIMIZED_1G, "--memory", "1T")
    assert result.exit_code == 0
    for text in (
        "1 GiB     0           1          1  16380 KiB   16380 KiB",
        "2 MiB: saved 224 KiB, if all are optimized 224 KiB",
        "if 1 TiB are huge pages:",
        "4 KiB      2 MiB   32 KiB      28 KiB     1.37     14 GiB       32 MiB  arm64, riscv, x86_64",
    ):
        assert text in result.stdout


def test_a_machine_is_read_from_a_copy_of_its_files(tmp_path: Path) -> None:
    output = hvolab("savings", "--system", write_machine(tmp_path, {"0/2048": 512})).stdout
    assert "6.12.0-test, 64 GiB of memory, base pages of 4 KiB, HVO: on" in output
    assert "2 MiB: saved cannot tell, if all are optimized 14 MiB" in output
    assert "no huge pages" in hvolab("savings", "--system", write_machine(tmp_path / "other", {})).stdout


@pytest.mark.slow
def test_the_json_fits_the_published_schema(tmp_path: Path) -> None:
    root = write_machine(tmp_path, {"0/2048": 512})
    for arguments in ((OPTIMIZED_1G,), ("--system", root), ("--memory", "1T")):
        assert as_json("savings", *arguments)


@pytest.mark.slow
def test_wrong_use_is_refused(tmp_path: Path) -> None:
    assert_refused("'lots' is not a size", "savings", "--memory", "lots")
    assert_refused("has no MemTotal", "savings", "--system", tmp_path)
    assert_refused("the plot cannot be written as 'a.pdf'", "savings", "--plot", tmp_path / "a.pdf")
