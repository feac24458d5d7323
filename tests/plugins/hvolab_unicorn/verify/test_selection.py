# SPDX-License-Identifier: GPL-2.0-only
"""Selection of targets: by name, mode and feature, with a reason for each that cannot be emulated."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from hvolab.cli.app import build_app
from hvolab_unicorn.verify.selection import select


@pytest.mark.arch("arm64")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--arch", "arm64", "--mode", "4K-52bit"], "no target can be emulated: arm64 4K-52bit"),
        (["--arch", "arm64", "--mode", "Sv39"], "unknown paging mode 'Sv39'"),
        (["--arch", "vax"], "no architecture is called 'vax'"),
    ],
)
def test_wrong_use_is_answered_by_a_sentence(options: list[str], complaint: str) -> None:
    result = CliRunner().invoke(build_app(), ["verify", *options])
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_every_mode_of_an_architecture_is_selected_or_refused_with_a_reason() -> None:
    targets, refused = select(["arm64"], None, None, None)
    assert {target.architecture.name for target in targets} == {"arm64"}
    modes = {target.mode.name for target in targets} | {target.mode.name for target, _ in refused}
    assert len(modes) == len(targets) + len(refused) == len(targets[0].architecture.modes)
    assert all(reason for _, reason in refused)


def test_profile_and_features_are_those_of_the_options() -> None:
    targets, _ = select(["riscv"], ["Sv39"], "strict", ["svadu"])
    assert [(one.mode.name, one.profile, one.features) for one in targets] == [("Sv39", "strict", ("svadu",))]
