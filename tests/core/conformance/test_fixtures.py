# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures for tests of strangers: each architecture in turn, another instruction sequence, checks of the kit."""

from __future__ import annotations

import pytest

from hvolab.conformance import fixtures
from hvolab.plugin import registry

pytest_plugins = ("pytester",)
NAME = fixtures.__name__
registry()  # pytester forgets modules that its runs load: numpy and the plugins are loaded before

POOL = """
from hvolab.invariants import check

def test_pool(machine, pool):
    pool.set_max_huge_pages(2)
    assert pool.machine is machine
    assert len(pool.live) == 2
    assert not check(machine, [pool])
"""

#: arm64's set_pte() with a store-release; riscv has no such sequence.
SET_PTE = """
import pytest

@pytest.mark.arch({architecture!r})
@pytest.mark.sequence({step!r}, text={text!r}, code="01fc9fc89f3a03d5df3f03d5")
def test_set_pte(conforms, emulated_cpu, pool):
    conforms({check!r})
    pool.set_max_huge_pages(1)
    assert len(pool.live) == 1
"""
RELEASE = "stlr x1, [x0]; dsb ishst; isb"


def outcomes(pytester: pytest.Pytester, *options: str) -> tuple[int, int, str]:
    """Numbers of tests that passed and failed, and the text of the last failure."""
    passed, _, failed = pytester.inline_run("-p", NAME, *options).listoutcomes()
    return len(passed), len(failed), failed[-1].longreprtext if failed else ""


def set_pte(architecture: str = "arm64", step: str = "write_entry", text: str = RELEASE, check: str = "") -> str:
    check = check or "every_sequence_has_its_declared_effect"
    return SET_PTE.format(architecture=architecture, step=step, text=text, check=check)


@pytest.mark.slow
def test_a_test_runs_for_each_architecture_and_for_those_of_the_option(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(POOL)
    assert outcomes(pytester) == (3, 0, "")
    assert outcomes(pytester, "--hvolab-arch", "riscv") == (1, 0, "")


def test_a_module_may_have_a_target_of_its_own(pytester: pytest.Pytester) -> None:
    own = "import pytest\nfrom hvolab_riscv.description import RISCV\n"
    own += "@pytest.fixture\ndef target(): return RISCV.select('Sv39')\n"
    pytester.makepyfile(own + POOL + "    assert machine.target.mode.name == 'Sv39'\n")
    assert outcomes(pytester) == (1, 0, "")


@pytest.mark.slow
@pytest.mark.emulator
def test_a_sequence_of_the_tests_own_is_executed_and_a_wrong_one_fails_with_the_reason(
    pytester: pytest.Pytester,
) -> None:
    for needed in ("unicorn", "capstone"):
        pytest.importorskip(needed, reason="needs an emulator and a disassembler: pip install 'hvolab[emulation]'")
    wrong = {
        "test_text": (set_pte(text="str x1, [x0]", check="every_sequence_is_its_text"), "the bytes are 'stlr x1, [x0]"),
        "test_step": (set_pte("riscv", "write_entyr"), "did you mean 'write_entry' or"),
        "test_check": (set_pte(check="every_sequence_is_text"), "did you mean 'every_sequence_is_its_text'?"),
        "test_bytes_of_another_architecture": (set_pte("riscv"), "write_entry raises exception 2"),
    }
    pytester.makepyfile(test_right=set_pte(), **{name: source for name, (source, _) in wrong.items()})
    report = pytester.inline_run("-p", NAME)
    texts = {each.nodeid: each.longreprtext for each in report.getreports("pytest_runtest_logreport") if each.failed}
    assert len(texts) == len(wrong)
    for name, (_, answer) in wrong.items():
        assert answer in next(text for nodeid, text in texts.items() if name in nodeid)


def test_an_unknown_architecture_in_the_marker_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.arch('vax')\ndef test_it(machine): pass\n")
    report = pytester.inline_run("-p", NAME)
    (error,) = [each for each in report.getreports("pytest_collectreport") if each.failed]
    assert "no architecture is called 'vax'" in error.longreprtext


def test_an_emulated_cpu_is_requested_with_the_machine(pytester: pytest.Pytester) -> None:
    late = "import pytest\n@pytest.mark.arch('riscv')\n"
    late += "def test_it(machine, request): request.getfixturevalue('emulated_cpu')\n"
    pytester.makepyfile(late)
    passed, failed, text = outcomes(pytester)
    assert (passed, failed) == (0, 1)
    assert "name emulated_cpu among the arguments" in text
