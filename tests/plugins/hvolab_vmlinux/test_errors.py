# SPDX-License-Identifier: GPL-2.0-only
"""Errors of the reader: each is an error of hvolab, and a missing package is named with its extra."""

from __future__ import annotations

import pytest

from hvolab.errors import HvolabError
from hvolab_vmlinux.errors import KernelImageError, SymbolError, TypeInfoError, missing_library


@pytest.mark.parametrize("error_type", [KernelImageError, SymbolError, TypeInfoError])
def test_every_error_is_caught_as_one_of_hvolab(error_type: type[HvolabError]) -> None:
    with pytest.raises(HvolabError, match="wrong; where: here; hint: do this"):
        raise error_type("wrong", where="here", hint="do this")


def test_a_missing_package_is_named_with_what_to_install() -> None:
    error = missing_library("lz4", "unpacking LZ4")
    assert error.what == "unpacking LZ4 needs the Python package lz4, which is not installed"
    assert "pip install 'hvolab[kernel]'" in error.hint
