# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab image` as a user types it."""

from __future__ import annotations

from pathlib import Path

from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab
from tests.plugins.hvolab_vmlinux.made_up_kernels import RELEASE, MadeUp, flat_image


def test_image_shows_what_is_in_an_image(image: Path) -> None:
    result = hvolab("image", image)
    assert result.exit_code == 0
    for text in (RELEASE, "x86_64 (EM_X86_64)", "bzImage > gzip > ELF", "it has HVO as in 6.12", "waits for RCU"):
        assert text in result.stdout


def test_image_prints_json_with_stable_keys(image: Path) -> None:
    data = as_json("image", image)
    assert list(data) == [
        "release", "architecture", "machine", "layers", "digest", "base", "entry", "memory_size", "relocations",
        "segments", "symbols", "types", "lacks", "hvo", "timings",
        "object", "stubs", "instructions", "runs_unchanged",
    ]  # fmt: skip
    assert (data["architecture"], data["hvo"]["release"], data["lacks"]) == ("x86_64", "6.12", [])
    assert list(as_json("image", image)["timings"]) == ["file and digest", "cache", "total"]
    assert "cache" not in as_json("image", image, "--no-cache")["timings"]


def test_image_lists_what_the_machine_answers_for(image: Path) -> None:
    result = hvolab("image", image, "--stubs")
    assert "memmap_pages_add(delta)  adds to nr_memmap_pages" in result.stdout
    assert "HVO also calls functions that run unchanged: copy_page" in result.stdout
    data = as_json("image", image, "--stubs")
    assert [one["function"] for one in data["stubs"]] == ["synchronize_rcu", "memmap_pages_add"]
    assert data["runs_unchanged"] == ["copy_page"]


def test_an_image_without_hvo_is_shown_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "Image"
    path.write_bytes(flat_image(MadeUp("EM_AARCH64", symbols=("copy_page",), btf=b"")))
    result = hvolab("image", path)
    assert result.exit_code == 0
    assert "it has no HVO" in result.stdout
    assert "it has no type information (BTF)" in result.stdout


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "this is not a regular file" in hvolab("image", tmp_path).stderr
