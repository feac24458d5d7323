# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab boot` as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hvolab.schema import schema_of
from hvolab_boot.judging.result import BootReport
from hvolab_vmcore.scan.releases import open_scan
from tests.core.cli.conftest import own_environment
from tests.kernel_images import command_for

#: The picture in the documentation: the file that `--keep` writes.
DOCUMENTED = Path(__file__).parents[4] / "docs" / "static" / "boot.svg"
#: Seconds after which QEMU has started, and after which all has ended; a busy machine takes longer.
PATIENCE = 60


def qemu_of(process: int) -> list[int]:
    """The children of a process."""
    return list(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


@pytest.mark.slow
def test_an_interrupt_ends_qemu(bootable: Path) -> None:
    words = [sys.executable, "-m", "hvolab", "boot", str(bootable), "--accel", "tcg"]
    command = ["env", "--default-signal=INT", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=own_environment()
    )
    try:
        end = time.monotonic() + PATIENCE
        while not (qemu := qemu_of(process.pid)) or "qemu" not in Path(f"/proc/{qemu[0]}/comm").read_text():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, "interrupted" in errors) == (130, True)
    assert not any(Path(f"/proc/{one}").exists() for one in qemu)


@pytest.mark.slow
def test_the_json_fits_its_schema(booted: tuple[int, dict[str, Any]]) -> None:
    properties = schema_of(BootReport)["properties"]
    assert set(booted[1]) == set(properties)


@pytest.mark.slow
def test_kept_cores_say_what_the_report_says(booted: tuple[int, dict[str, Any]], kept: Path) -> None:
    report = booted[1]
    assert [one["file"] for one in report["stages"]] == [
        "0-boot.core.xz",
        "1-resize-2M-8.core.xz",
        "2-shrink.core.xz",
    ]
    for stage in report["stages"]:
        assert (kept / stage["file"]).stat().st_size < 32 << 10
        found = [one for one in report["findings"] if (one["by"], one["stage"]) == ("memory", stage["name"])]
        assert open_scan(kept / stage["file"]).kinds() == {one["kind"]: one["count"] for one in found}
    drawn, documented = (file.read_text("utf-8") for file in (kept / "report.svg", DOCUMENTED))
    assert "@font-face" not in drawn
    for words in ("lost-memory (8)", "KPF_HUGE", "repeated, and compared with memory", "own code", "Problems found."):
        for picture in (drawn, documented):
            assert words.replace(" ", "&#160;") in picture, words


@pytest.mark.slow
def test_a_stress_is_a_stage_of_its_own_and_leaves_nothing(bootable: Path) -> None:
    image = bootable.with_name("x86_64-7.x.image")
    if not image.exists():
        pytest.skip(f"there is no image: {command_for('x86_64-7.x')}")
    # of one CPU: with two, emulated kernels have crashed while they switched a static key
    options = ["--do", "2M=8", "--accel", "tcg", "--stress", "3", "--cpus", "1", "--json"]
    command = [sys.executable, "-m", "hvolab", "boot", str(image), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=False)
    report = json.loads(done.stdout)
    assert (done.returncode, report["findings"]) == (0, [])
    assert [one["name"] for one in report["stages"]] == ["boot", "resize 2M 8", "stress 3"]
    assert [one["after"] for one in report["pairs"]] == ["resize 2M 8"]
    assert report["stages"][-1]["pools"][0]["total"] == 0
    counted = [note for note in report["notes"] if note.startswith("stress 3: ")]
    assert sum("changes of the pool and back" in note for note in counted) == 1
    assert sum("compactions" in note or "reads of page flags" in note for note in counted) == 2
