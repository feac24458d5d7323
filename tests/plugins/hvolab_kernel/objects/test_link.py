# SPDX-License-Identifier: GPL-2.0-only
"""Kernels' own files, compiled again and linked over their images: they run as the images' code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_kernel.code.hvo_functions import hvo_functions
from hvolab_kernel.comparison import Comparer, compare, scenarios_of, target_of
from hvolab_kernel.comparison.selection import chosen_scenarios
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.objects.link import link_object, old_text
from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.elf_object import read_object
from tests.plugins.hvolab_kernel.objects.developer_objects import kernel_of, linked_hvo, object_of
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import MadeUpObject, MadeUpSection, MadeUpSymbol

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")
EACH = pytest.mark.parametrize("name", ["x86_64-6.12", "riscv64-6.12", "x86_64-7.x"])


@pytest.mark.slow
@EACH
def test_the_unedited_file_replaces_hvo_and_adds_no_call(name: str) -> None:
    linked = linked_hvo(name)
    made = linked.overlay
    assert {"hugetlb_vmemmap_optimize_folio", "hugetlb_vmemmap_restore_folio", "vmemmap_remap_range"} <= set(
        made.replaced
    )
    assert (linked.calls, made.missing, linked.drift) == ((), (), ())
    assert "vmemmap_optimize_enabled" in made.own
    assert "hugetlb_optimize_vmemmap_key" not in made.own
    assert features_of(linked.kernel).release is features_of(kernel_of(name)).release


@pytest.mark.slow
@EACH
def test_the_unedited_file_behaves_as_the_model(name: str) -> None:
    kernel = linked_hvo(name).kernel
    target = target_of(kernel)
    chosen = chosen_scenarios(scenarios_of(target), ["2M boot: optimize", "2M buddy: restore a mixed list"])
    assert not compare(Comparer(target, kernel), chosen).disagreements


def test_the_old_text_is_that_of_all_functions_of_hvo() -> None:
    kernel = kernel_of("x86_64-6.12")
    start, end = old_text(kernel, read_object(object_of("x86_64-6.12")))
    names = {name for name in hvo_functions(kernel) if ".cold" not in name}
    assert names <= set(kernel.symbols.between(start, end))
    assert 0x800 < end - start < 0x4000
    assert old_text(kernel, read_object(object_of("x86_64-6.12"))) == (start, end)


def test_a_file_of_another_release_is_refused_with_the_structs_that_differ() -> None:
    with pytest.raises(
        ObjectFileError, match=r"\d+ structs of the object differ from the image's: struct \w+: \d+ bytes"
    ):
        link_object(kernel_of("x86_64-6.12"), object_of("x86_64-7.x"))


def test_an_object_of_another_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "riscv.o"
    path.write_bytes(MadeUpObject([MadeUpSection(".text", b"\x01")], machine="EM_RISCV").content())
    with pytest.raises(ObjectFileError, match="the object is of EM_RISCV, the image of EM_X86_64"):
        link_object(kernel_of("x86_64-6.12"), path)


def test_a_call_that_the_image_cannot_serve_is_named_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "calls.o"
    text = MadeUpSection(".text", b"\xe8\0\0\0\0\xe8\0\0\0\0\xc3", relocations=[(1, 4, 2, -4), (6, 4, 3, -4)])
    symbols = MadeUpSymbol("hugetlb_vmemmap_optimize_folio", 1), MadeUpSymbol("no_such_function"), MadeUpSymbol("kfree")
    path.write_bytes(MadeUpObject([text], symbols).content())
    linked = link_object(kernel_of("x86_64-6.12"), path)
    assert (linked.calls, linked.overlay.missing, linked.drift) == (("no_such_function",), ("no_such_function",), None)
    assert "hugetlb_vmemmap_restore_folio" in linked.overlay.gone
