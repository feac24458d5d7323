# SPDX-License-Identifier: GPL-2.0-only
"""riscv on an emulator: satp of each mode, and the features that unicorn does not have."""

from __future__ import annotations

import pytest

from hvolab_riscv.description import RISCV
from hvolab_riscv.emulation import EMULATION


@pytest.mark.parametrize(("mode", "number"), [("Sv39", 8), ("Sv48", 9), ("Sv57", 10)])
def test_satp_has_the_mode_and_the_root(mode: str, number: int) -> None:
    settings = {setting.name: setting.value for setting in EMULATION.settings(RISCV.select(mode), 0x80001000)}
    assert settings == {"SATP": number << 60 | 0x80001, "PRIV": 1}


def test_features_that_unicorn_lacks_are_refused_and_svadu_removes_a_difference() -> None:
    assert "Svnapot" in EMULATION.refusal(RISCV.select(features=("svnapot",)))
    assert "Svpbmt" in EMULATION.refusal(RISCV.select(features=("svpbmt",)))
    assert EMULATION.refusal(RISCV.select()) == ""
    plain, svadu = RISCV.select(), RISCV.select(features=("svadu",))
    assert len(EMULATION.differences(plain)) == len(EMULATION.differences(svadu)) + 1
    assert len(EMULATION.walk_limits(plain)) == len(EMULATION.walk_limits(svadu)) + 1
