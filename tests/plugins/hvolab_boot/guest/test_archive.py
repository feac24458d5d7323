# SPDX-License-Identifier: GPL-2.0-only
"""The initial RAM file system is one that cpio reads."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hvolab_boot.guest.archive import initramfs_of


def test_each_entry_starts_at_a_multiple_of_four_and_names_its_sizes() -> None:
    made = initramfs_of(b"\x7fELF?")
    assert len(made) % 4 == 0
    names, at = [], 0
    while at < len(made):
        fields = [int(made[at + 6 + 8 * field : at + 14 + 8 * field], 16) for field in range(13)]
        assert made[at : at + 6] == b"070701"
        names.append((made[at + 110 : at + 110 + fields[11] - 1].decode(), oct(fields[1]), tuple(fields[9:11])))
        at += (110 + fields[11] + 3) // 4 * 4
        at += (fields[6] + 3) // 4 * 4
    assert names == [
        ("dev", "0o40755", (0, 0)),
        ("dev/console", "0o20600", (5, 1)),
        ("init", "0o100755", (0, 0)),
        ("TRAILER!!!", "0o0", (0, 0)),
    ]


def test_cpio_lists_it() -> None:
    if shutil.which("cpio") is None:
        pytest.skip("there is no cpio: apt-get install cpio")
    listed = subprocess.run(["cpio", "-t"], input=initramfs_of(b"x"), capture_output=True, check=True)
    assert listed.stdout.split() == [b"dev", b"dev/console", b"init"]
