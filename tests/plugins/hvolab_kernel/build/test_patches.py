# SPDX-License-Identifier: GPL-2.0-only
"""Patches, as git writes them, applied to a copy of one file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_kernel.build.patches import PatchedCopy, read_patch

DIFF = """diff --git a/mm/hugetlb_vmemmap.c b/mm/hugetlb_vmemmap.c
--- a/mm/hugetlb_vmemmap.c
+++ b/mm/hugetlb_vmemmap.c
@@ -1,2 +1,2 @@
 one
-two
+three
"""
OTHER = "diff --git a/mm/slub.c b/mm/slub.c\n--- a/mm/slub.c\n+++ b/mm/slub.c\n@@ -1 +1 @@\n-a\n+b\n"
MAIL = "From: A <a@b>\nSubject: [PATCH v2 1/2] mm/hugetlb_vmemmap: a long subject\n in two lines\n\nWhy.\n---\n"


def patch(folder: Path, text: str) -> Path:
    path = folder / "0001.patch"
    path.write_text(text)
    return path


def test_the_subject_is_that_of_the_mail_and_the_name_of_a_bare_diff(tmp_path: Path) -> None:
    found = read_patch(patch(tmp_path, MAIL + DIFF + OTHER))
    assert (found.subject, found.others, found.touches) == (
        "mm/hugetlb_vmemmap: a long subject in two lines",
        ("mm/slub.c",),
        True,
    )
    bare = read_patch(patch(tmp_path, OTHER))
    assert (bare.subject, bare.touches) == ("0001.patch", False)


def test_a_file_that_is_no_patch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"changes no file.*git format-patch"):
        read_patch(patch(tmp_path, "int main;\n"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_patch(tmp_path / "none")


def test_patches_change_the_copy_alone(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git: apt-get install git")
    source = tmp_path / "hugetlb_vmemmap.c"
    source.write_text("one\ntwo\n")
    source.with_suffix(".h").write_text("header\n")
    (tmp_path / "copy").mkdir()
    copy = PatchedCopy(source, tmp_path / "copy")
    found = read_patch(patch(tmp_path, MAIL + DIFF + OTHER))
    copy.apply(found)
    assert copy.source.read_text() == "one\nthree\n"
    assert copy.source.with_suffix(".h").read_text() == "header\n"
    assert source.read_text() == "one\ntwo\n"
    with pytest.raises(UsageError, match=r"0001\.patch does not apply: error: patch failed"):
        copy.apply(found)
    copy.apply(read_patch(patch(tmp_path, OTHER)))  # nothing to do
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="--file"):
        PatchedCopy(tmp_path / "none.c", tmp_path / "other")
