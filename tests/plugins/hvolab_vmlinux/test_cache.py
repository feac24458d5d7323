# SPDX-License-Identifier: GPL-2.0-only
"""The cache: what was stored comes back equal; what is damaged is thrown away and made again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hvolab_vmlinux import cache
from hvolab_vmlinux.open import open_kernel, read_kernel
from tests.plugins.hvolab_vmlinux.cached_kernels import same, steps
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, flat_image

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("made", [MadeUp("EM_AARCH64", relocated=True), MadeUp("EM_RISCV", btf=b"")])
def test_flat_images_and_what_they_lack_come_back(made: MadeUp) -> None:
    kernel = read_kernel(flat_image(made), "here")
    assert cache.store(kernel) == ""
    found = cache.load(kernel.image.digest)
    assert found is not None
    assert same(kernel, found)


def test_another_version_of_the_reader_reads_again_and_clears_up(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = cache.entry_path(open_kernel(image).image.digest)
    monkeypatch.setattr(cache, "READER_VERSION", cache.READER_VERSION + 1)
    assert "store" in steps(open_kernel(image))
    assert not old.exists()


@pytest.mark.slow
def test_a_damaged_entry_is_thrown_away_and_made_again(image: Path) -> None:
    first = open_kernel(image)
    entry = cache.entry_path(first.image.digest)
    whole, chance = entry.read_bytes(), random.Random(13)
    again = 0
    for number in range(150):
        changed = bytearray(whole)
        if number % 5 == 0:
            del changed[chance.randrange(len(whole)) :]
        else:
            changed[chance.randrange(4096 if number % 2 else len(whole))] ^= 1 << chance.randrange(8)
        entry.write_bytes(changed)
        found = open_kernel(image)
        assert same(first, found)
        again += "store" in steps(found)
        assert same(first, open_kernel(image))
    assert again > 50


def test_no_half_written_entry_stays(image: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, f"No space left on device for {self.name} and {target.name}")

    monkeypatch.setattr(Path, "replace", fail)
    assert any("No space left" in one for one in steps(open_kernel(image)))
    assert list((folder / "kernels").iterdir()) == []
