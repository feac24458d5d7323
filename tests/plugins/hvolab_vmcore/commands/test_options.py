# SPDX-License-Identifier: GPL-2.0-only
"""Options of commands that read a core."""

from __future__ import annotations

import pytest

from hvolab.release import RELEASES
from hvolab_vmcore.commands.options import parse_address
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M
from tests.plugins.hvolab_vmcore.command_line import hvolab


def test_a_word_is_refused_by_an_option_that_takes_an_address() -> None:
    result = hvolab("inspect", OPTIMIZED_2M, "--root", "swapper")
    assert result.exit_code == 2
    assert "--root" in result.stderr


@pytest.mark.parametrize("command", ["inspect", "replay"])
def test_help_names_the_releases_of_the_table(command: str) -> None:
    text = " ".join(hvolab(command, "--help").stdout.split())
    assert f"Kernel release to model: {', '.join(map(str, RELEASES))}. By default that of the image or core" in text


@pytest.mark.parametrize(("text", "value"), [("0x2c22000", 0x2C22000), ("4096", 4096), ("0x" + "f" * 16, 2**64 - 1)])
def test_addresses_are_hex_or_decimal(text: str, value: int) -> None:
    assert parse_address(text) == value


@pytest.mark.parametrize("text", ["-1", "0x10000000000000000", "2M", ""])
def test_an_address_has_64_bits_and_no_sign_or_unit(text: str) -> None:
    with pytest.raises(ValueError, match=r"64 bits|invalid literal"):
        parse_address(text)
