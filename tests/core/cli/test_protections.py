# SPDX-License-Identifier: GPL-2.0-only
"""Protections of an entry: exact, of another release, near."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hvolab.arch import EntryKind, PgprotRole, Target
from hvolab.cli.entry_view import view_entry
from hvolab.cli.protections import first_level
from hvolab.errors import EncodingError
from hvolab.plugin import registry
from tests.core.cli.conftest import targets

X86 = ("--arch", "x86_64")


@pytest.mark.parametrize("target", targets(), ids=str)
def test_the_kernels_protections_are_recognized_at_every_level(target: Target) -> None:
    for role, pgprot in target.pgprots:
        for level in target.mode.levels:
            kind = EntryKind.TABLE if role is PgprotRole.TABLE else EntryKind.LEAF
            try:
                raw = target.mode.format.form(level.name, kind).put_address(0) | target.bits(level.name, role)
                view = view_entry(target, level.name, raw)
            except EncodingError:
                continue  # not every protection exists at every level
            if view.entry.kind is kind:
                assert pgprot.name in view.pgprots
    names = view_entry(target, target.mode.last.name, target.bits(target.mode.last.name, PgprotRole.KERNEL)).pgprots
    assert "PAGE_KERNEL" in names


@pytest.mark.parametrize(
    ("arch", "mode", "levels"),
    [("x86_64", "4-level", ("pte", "pmd", "pmd")), ("arm64", "16K-47bit", ("pte", "pmd", "pmd"))],
)
def test_hvo_uses_a_protection_first_at_the_level_at_which_it_maps_the_vmemmap(
    arch: str, mode: str, levels: tuple[str, str, str]
) -> None:
    target = registry().architecture(arch).select(mode)
    roles = (PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE, PgprotRole.TABLE)
    assert tuple(first_level(target, role) for role in roles) == levels


def test_a_protection_of_another_kernel_is_named_with_it(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "0x80000000054e4161")
    assert entry["pgprots"] == []
    assert entry["pgprots_elsewhere"] == ["PAGE_KERNEL_RO of kernel 6.1"]
    assert invoke_json("pte", *X86, "--release", "6.1", "0x80000000054e4161")["pgprots"] == ["PAGE_KERNEL_RO"]


def test_the_nearest_protection_is_named_with_what_differs(invoke_json: Callable[..., Any]) -> None:
    entry = invoke_json("pte", *X86, "0x80000000054e4167")
    assert entry["nearest_pgprots"] == [{"name": "PAGE_KERNEL", "there": {"US": "0x0"}}]
