"""The cache: what was stored comes back equal; what is damaged is thrown away and made again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hvolab_vmlinux import cache
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel
from hvolab_vmlinux.reader import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, bzimage, elf_image, flat_image


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(elf_image(MadeUp(), per_cpu=b"per-CPU")))
    return path


def steps(kernel: Kernel) -> set[str]:
    return {one.step for one in kernel.timings}


def same(one: Kernel, other: Kernel) -> bool:
    def parts(kernel: Kernel) -> object:
        image = kernel.image
        segments = [(part.va, part.memory_size, part.physical, part.content.tobytes()) for part in image.segments]
        described = (image.digest, image.layers, image.machine, image.release, image.base, image.entry)
        symbols = kernel.table and (kernel.table.addresses.tolist(), kernel.table.letters.tolist(), kernel.table.text)
        starts = None if kernel.btf_starts is None else kernel.btf_starts.tolist()
        return described, image.relocations, segments, symbols, kernel.btf, starts, kernel.lacks

    return parts(one) == parts(other)


def test_the_second_opening_comes_from_the_cache_and_is_the_same(image: Path) -> None:
    first, second = open_kernel(image), open_kernel(image)
    assert "store" in steps(first)
    assert "cache" in steps(second)
    assert same(first, second)
    assert not second.image.segments[0].content.flags.writeable


@pytest.mark.parametrize("made", [MadeUp("EM_AARCH64", relocated=True), MadeUp("EM_RISCV", btf=b"")])
def test_flat_images_and_what_they_lack_come_back(made: MadeUp) -> None:
    kernel = read_kernel(flat_image(made), "here")
    assert cache.store(kernel) == ""
    found = cache.load(kernel.image.digest)
    assert found is not None
    assert same(kernel, found)


def test_without_the_cache_nothing_is_written(image: Path, folder: Path) -> None:
    assert "cache" not in steps(open_kernel(image, use_cache=False))
    assert not folder.exists()


def test_another_file_has_another_entry(image: Path) -> None:
    first = open_kernel(image)
    image.write_bytes(image.read_bytes() + b"\0")
    assert open_kernel(image).image.digest != first.image.digest


def test_another_version_of_the_reader_reads_again_and_clears_up(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = cache.entry_path(open_kernel(image).image.digest)
    monkeypatch.setattr(cache, "READER_VERSION", cache.READER_VERSION + 1)
    assert "store" in steps(open_kernel(image))
    assert not old.exists()


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


def test_where_nothing_can_be_written_the_image_is_read_all_the_same(image: Path, folder: Path) -> None:
    folder.write_text("this is no folder")
    found = open_kernel(image)
    assert any(one.startswith("not cached: ") for one in steps(found))
    assert same(found, open_kernel(image, use_cache=False))


def test_no_half_written_entry_stays(image: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, f"No space left on device for {self.name} and {target.name}")

    monkeypatch.setattr(Path, "replace", fail)
    assert any("No space left" in one for one in steps(open_kernel(image)))
    assert list((folder / "kernels").iterdir()) == []


def test_the_folder_is_the_users_unless_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_directory() == tmp_path / "hvolab"
