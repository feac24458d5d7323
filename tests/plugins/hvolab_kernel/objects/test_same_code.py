# SPDX-License-Identifier: GPL-2.0-only
"""Functions with the code of the image: an object over itself has them all, an edited one all but one."""

from __future__ import annotations

import pytest

from hvolab_kernel.objects.link import link_object
from tests.plugins.hvolab_kernel.objects.developer_objects import linked_hvo, object_of

pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")


@pytest.mark.slow
def test_an_object_linked_over_itself_has_the_same_code() -> None:
    linked = linked_hvo("x86_64-6.12")
    again = link_object(linked.kernel, linked.overlay.linked.object.path)
    assert again.unchanged
    assert set(again.same) == set(linked.overlay.replaced)


@pytest.mark.slow
def test_an_edit_changes_the_code_of_its_function_only() -> None:
    name, changes = "x86_64-6.12", {"split_page(head, get_order(PMD_SIZE));": ""}
    again = link_object(linked_hvo(name).kernel, object_of(name, changes))
    assert not again.unchanged
    assert set(again.overlay.replaced) - set(again.same) == {"vmemmap_pmd_entry"}
