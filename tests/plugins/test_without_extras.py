# SPDX-License-Identifier: GPL-2.0-only
"""Without the libraries of an extra everything else works, and what needs them says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hvolab_vmlinux.containers.blocks import LZ4_MAGIC

_MISSING = "import sys; sys.modules.update(dict.fromkeys({missing!r})); from hvolab.cli.app import main; main()"


def hvolab(missing: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """What hvolab prints where these modules cannot be imported."""
    command = [sys.executable, "-c", _MISSING.format(missing=missing), *arguments]
    paths = {"PYTHONPATH": ":".join(sys.path), "PATH": "", "COLUMNS": "200", "HVOLAB_STRICT": "1"}
    return subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", env=paths)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--arch", "x86_64", "--memory", "256M", "--hugepages", "2M=1", "--cpu", "emulated"),
        ("verify", "--arch", "x86_64", "--mode", "4-level"),
    ],
)
def test_who_wants_an_emulated_cpu_is_told_what_to_install(arguments: tuple[str, ...]) -> None:
    done = hvolab(("unicorn",), *arguments)
    assert done.returncode == 2
    assert "pip install 'hvolab[emulation]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_needs_no_extra_works_without_any() -> None:
    missing = ("unicorn", "capstone", "lz4", "lzallright")
    for arguments in (("arches", "riscv"), ("run", "--arch", "riscv", "--memory", "256M", "--hugepages", "2M=1")):
        done = hvolab(missing, *arguments)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_packed_kernel_image_is_not_read_without_its_extra(tmp_path: Path) -> None:
    packed = tmp_path / "Image.lz4"
    packed.write_bytes(LZ4_MAGIC + bytes(64))
    done = hvolab(("capstone", "lz4", "lzallright"), "image", str(packed))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "pip install 'hvolab[kernel]'" in done.stderr
