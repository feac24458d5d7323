# SPDX-License-Identifier: GPL-2.0-only
"""Report of a linked object: what decides about the result comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab, image_of
from tests.plugins.hvolab_kernel.objects.developer_objects import kernel_of, object_of
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import MadeUpObject, MadeUpSection, MadeUpSymbol

pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")
NAME = "x86_64-6.12"


@pytest.mark.slow
def test_an_object_that_fits_is_reported() -> None:
    image, path = image_of(kernel_of(NAME)), object_of(NAME)
    data = as_json("image", image, "--object", path)["object"]
    assert (data["new_calls"], data["missing"], data["differing_structs"], data["gone"]) == ([], [], [], [])
    done = hvolab("image", image, "--object", path)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "object"
    assert "structs    those of the image" in lines


@pytest.mark.slow
def test_missing_symbols_and_missing_types_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "calls.o"
    text = MadeUpSection(".text", b"\xe8\0\0\0\0\xe8\0\0\0\0\xc3", relocations=[(1, 4, 2, -4), (6, 4, 3, -4)])
    symbols = (
        MadeUpSymbol("hugetlb_vmemmap_optimize_folio", 1),
        MadeUpSymbol("no_such_function"),
        MadeUpSymbol("mcount"),
    )
    path.write_bytes(MadeUpObject([text], symbols).content())
    shown = " ".join(hvolab("image", image_of(kernel_of(NAME)), "--object", path).stdout.split())
    assert "no_such_function is not in the image: a call of it ends the case" in shown
    assert "mcount is not in the image: a stub performs it" in shown
    assert "not checked: the object has no types" in shown


@pytest.mark.slow
def test_an_object_of_another_release_ends_with_exit_code_2() -> None:
    done = hvolab("image", image_of(kernel_of(NAME)), "--object", object_of("x86_64-7.x"))
    assert done.exit_code == 2


@pytest.mark.slow
def test_an_object_is_compared_with_model_and_image_and_quickly_with_the_model() -> None:
    image, path = image_of(kernel_of(NAME)), object_of(NAME)
    arguments = (image, "--object", path, "--scenario", "2M boot: optimize twice")
    both = as_json("kernel", *arguments)
    assert set(both) == {"the model of 6.12.117", "the image's own code"}
    assert as_json("kernel", *arguments, "--quick")["cases"] == both["the model of 6.12.117"]["cases"]
