# SPDX-License-Identifier: GPL-2.0-only
"""The report about an image: what it lacks, its segments, its stubs."""

from __future__ import annotations

import pytest

from hvolab.cli.output import console
from hvolab_kernel.commands.image_report import image_data, image_view, stubs_data, stubs_view
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, addresses, elf_image, flat_image

#: tlbi vmalle1is; dsb ish
FLUSH = bytes.fromhex("1f8308d59f3b03d5")


def printed(view: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "160")
    console().print(view)
    return capsys.readouterr().out


def test_a_kernel_without_types_lacks_them_in_both_reports(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = read_kernel(elf_image(MadeUp(btf=b""), per_cpu=bytes(64)), "here")
    features = features_of(kernel)
    data = image_data(kernel, features)
    assert (data["types"], data["lacks"]) == (None, list(kernel.lacks))
    assert [one["per_cpu"] for one in data["segments"]] == [False, True]
    assert [one["name"] for one in data["hvo"]["features"]] == [one.name for one in features.features]
    text = printed(image_view(data), capsys, monkeypatch)
    assert "it has no type information (BTF)" in text
    assert "per-CPU template" in text


def inline_kernel() -> tuple[MadeUp, Kernel]:
    made = MadeUp("EM_AARCH64", symbols=(*HVO_6_12, "vmemmap_remap_range"), code={"vmemmap_remap_range": FLUSH})
    return made, read_kernel(flat_image(made), "here")


def test_stubs_of_functions_and_instructions_are_listed_with_their_places(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kernel = inline_kernel()
    data = stubs_data(kernel)
    at = addresses(made)["vmemmap_remap_range"]
    assert [(one["instruction"], one["va"], one["place"], one["action"]) for one in data["instructions"]] == [
        ("tlbi vmalle1is", f"{at:#x}", "vmemmap_remap_range", "flush_all_begun"),
        ("dsb ish", f"{at + 4:#x}", "vmemmap_remap_range+0x4", "flushes_done"),
    ]
    assert {one["function"]: one["arguments"] for one in data["stubs"]}["memmap_pages_add"] == ["delta"]
    assert "dsb ish, 1 times in HVO's code" in printed(stubs_view(kernel), capsys, monkeypatch)


def test_functions_that_run_unchanged_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = read_kernel(elf_image(x86_kernel_like_6_12()), "here")
    assert stubs_data(kernel)["runs_unchanged"] == ["copy_page"]
    assert "functions that run unchanged: copy_page" in printed(stubs_view(kernel), capsys, monkeypatch)
    assert "HVO calls nothing else" in printed(stubs_view(inline_kernel()[1]), capsys, monkeypatch)
