# SPDX-License-Identifier: GPL-2.0-only
"""The report about an image: what it lacks, its segments, its stubs."""

from __future__ import annotations

import pytest

from hvolab.cli.output import console
from hvolab.serialize import as_data
from hvolab_kernel.code.stubs import StubAction
from hvolab_kernel.commands.image_report import image_view, report_of, stubs_view
from hvolab_kernel.identify.features import features_of
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, addresses, elf_image, flat_image
from tests.schemas import faults, published

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
    report = report_of(kernel)
    assert (report.types, report.lacks) == (None, kernel.lacks)
    assert [one.per_cpu for one in report.segments] == [False, True]
    assert report.hvo.features == features_of(kernel).features
    text = printed(image_view(report), capsys, monkeypatch)
    assert "it has no type information (BTF)" in text
    assert "per-CPU template" in text


def inline_kernel() -> tuple[MadeUp, Kernel]:
    made = MadeUp("EM_AARCH64", symbols=(*HVO_6_12, "vmemmap_remap_range"), code={"vmemmap_remap_range": FLUSH})
    return made, read_kernel(flat_image(made), "here")


def test_stubs_of_functions_and_instructions_are_listed_with_their_places(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kernel = inline_kernel()
    report = report_of(kernel, stubs=True)
    at = addresses(made)["vmemmap_remap_range"]
    assert [(one.instruction, one.va, one.place, one.action) for one in report.instructions or ()] == [
        ("tlbi vmalle1is", at, "vmemmap_remap_range", StubAction.FLUSH_ALL_BEGUN),
        ("dsb ish", at + 4, "vmemmap_remap_range+0x4", StubAction.FLUSHES_DONE),
    ]
    assert {one.function: one.arguments for one in report.stubs or ()}["memmap_pages_add"] == ("delta",)
    assert faults(published("image"), as_data(report)) == []
    assert "dsb ish, 1 times in HVO's code" in printed(stubs_view(report), capsys, monkeypatch)


def test_functions_that_run_unchanged_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = read_kernel(elf_image(x86_kernel_like_6_12()), "here")
    report = report_of(kernel, stubs=True)
    assert report.runs_unchanged == ("copy_page",)
    assert "functions that run unchanged: copy_page" in printed(stubs_view(report), capsys, monkeypatch)
    assert "HVO calls nothing else" in printed(
        stubs_view(report_of(inline_kernel()[1], stubs=True)), capsys, monkeypatch
    )
