# SPDX-License-Identifier: GPL-2.0-only
"""Samples: of many cases of one kind a few run in every check, and all of them in `tox run -e long`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def one_in(number: int, cases: Sequence[Any], ids: Callable[[Any], str]) -> list[Any]:
    """Return cases as parameters of a test; all but one of so many are `long`.

    A case with several values is a tuple; `ids` names a case.
    """
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=ids(case),
            marks=[pytest.mark.long] if index % number else [],
        )
        for index, case in enumerate(cases)
    ]


def share(cases: Iterable[T], part: int, parts: int) -> list[T]:
    """Return one of so many parts of the cases, each with cases of the whole range."""
    return list(islice(cases, part % parts, None, parts))
