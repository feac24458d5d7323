# SPDX-License-Identifier: GPL-2.0-only
"""The file that a series of patches applies to."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_kernel.build.tree import KernelTree
from hvolab_kernel.commands.series import source_in


def test_the_file_is_that_of_the_tree_or_next_to_its_private_headers(tmp_path: Path) -> None:
    tree, private = tmp_path / "linux", tmp_path / "headers/mm"
    for folder in (tree / "mm", private):
        folder.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"has no mm/hugetlb_vmemmap\.c"):
        source_in(KernelTree(tree, tree, private, ""))
    (private / "hugetlb_vmemmap.c").touch()
    assert source_in(KernelTree(tree, tree, private, "")).parent == private
    (tree / "mm/hugetlb_vmemmap.c").touch()
    assert source_in(KernelTree(tree, tree, private, "")).parent == tree / "mm"
