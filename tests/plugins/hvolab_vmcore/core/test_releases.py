# SPDX-License-Identifier: GPL-2.0-only
"""Choice of a release: the fewest contradictions, and the reasons."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from hvolab.arch import Target
from hvolab.plugin import registry
from hvolab.release import DEFAULT, RELEASES
from hvolab_vmcore.core.releases import ReleaseChoice, ReleaseEvidence, choose, noted_evidence, targets_of
from hvolab_vmcore.files.elfcore import open_core
from tests.plugins.hvolab_vmcore.changed_cores import BOOT, made


@cache
def targets() -> tuple[Target, ...]:
    architecture = registry().architecture("x86_64")
    return targets_of(lambda release: architecture.select(None, release=release))


def only(*names: str) -> ReleaseEvidence:
    """Return a fact that fits the releases of these names."""
    return ReleaseEvidence(f"only {' '.join(names)}", lambda target: target.release.name in names)


def test_a_series_that_is_not_in_a_release_is_never_chosen() -> None:
    assert [target.release for target in targets()] == [release for release in RELEASES if release.anywhere]


def test_without_facts_the_default_release_is_chosen_and_all_others_fit_as_well() -> None:
    choice = choose(targets(), ())
    assert (choice.release, choice.fits, choice.contradict) == (DEFAULT, (), ())
    assert [release.name for release in choice.as_well] == ["6.1", "6.12.117", "7.2"]


def test_the_release_with_the_fewest_contradictions_is_chosen() -> None:
    choice = choose(targets(), (only("7.2"), only("6.1"), only("7.2", "6.12")))
    assert choice.release.name == "7.2"
    assert choice.fits == ("only 7.2", "only 7.2 6.12")
    assert choice.contradict == ("only 6.1",)
    assert choice.as_well == ()
    assert [release.name for release in choice.close] == ["6.12", "6.1"]


def test_of_releases_that_fit_alike_the_oldest_is_chosen_if_the_default_one_is_not_among_them() -> None:
    choice = choose(targets(), (only("6.12.117", "7.2"),))
    assert (choice.release.name, [release.name for release in choice.as_well]) == ("6.12.117", ["7.2"])


def test_a_fact_that_does_not_decide_makes_one_of_several_releases_likelier() -> None:
    likely = replace(only("6.12.117", "6.1"), decides=False)
    choice = choose(targets(), (only("6.12", "6.12.117"), likely))
    assert (choice.release.name, [release.name for release in choice.as_well]) == ("6.12.117", ["6.12"])
    assert choice.fits == ("only 6.12 6.12.117", "only 6.12.117 6.1")
    assert choose(targets(), (only("7.2"), likely)).release.name == "7.2"


@pytest.mark.parametrize(
    ("core", "release", "as_well"),
    [
        (made("x86_64-6.1", "0-boot"), "6.1", []),
        (made("x86_64-6.12.117", "0-boot"), "6.12", ["6.12.117"]),
        (made("riscv64-7.2", "0-boot"), "7.2", []),
        (BOOT, "6.12", ["6.12.117"]),
    ],
)
def test_vmcoreinfo_leaves_few_releases(core: Path, release: str, as_well: list[str]) -> None:
    choice = choose(targets(), noted_evidence(open_core(core).vmcoreinfo))
    assert (choice.release.name, [one.name for one in choice.as_well]) == (release, as_well)
    assert len(choice.fits) == 2
    assert choice.contradict == ()


def test_no_vmcoreinfo_is_no_fact() -> None:
    assert noted_evidence(None) == ()


def test_a_choice_is_given_in_sentences() -> None:
    choice = choose(targets(), (only("6.12", "6.12.117"), only("7.2")))
    assert list(choice.sentences()) == [
        "modeled as release 6.12: chosen by features of the core",
        "  only 6.12 6.12.117",
        "  but not as in 6.12: only 7.2",
        "  6.12.117, 7.2 would fit as well: nothing in the core excludes it",
    ]
    named = ReleaseChoice(DEFAULT, named=True)
    assert list(named.sentences()) == ["modeled as release 6.12: named by --release"]
