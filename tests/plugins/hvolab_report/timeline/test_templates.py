# SPDX-License-Identifier: GPL-2.0-only
"""Scripts and styles of the page, as Biome lints them: the scripts of a page together, because they share names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import hvolab_report.timeline
from hvolab_report.timeline.page import ONE_VOICE, SCRIPTS, TWO_VOICES
from tests.rooms import ROOT

BIOME = ROOT / "node_modules" / ".bin" / "biome"
TEMPLATES = Path(hvolab_report.timeline.__file__).parent / "templates"


def lint(file: Path) -> str:
    """Return what Biome reports of a file; empty: nothing."""
    if not BIOME.exists():
        pytest.skip("no Biome: npm install")
    words: list[str | Path] = [
        BIOME,
        "lint",
        "--error-on-warnings",
        "--colors=off",
        f"--config-path={ROOT / 'biome.json'}",
        file,
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("last", [ONE_VOICE, TWO_VOICES])
def test_the_scripts_of_a_page_have_no_finding(last: str, tmp_path: Path) -> None:
    page = tmp_path / "page.js"
    page.write_text("".join((TEMPLATES / name).read_text("utf-8") for name in (*SCRIPTS, last)), "utf-8")
    assert not lint(page)


def test_the_styles_have_no_finding(tmp_path: Path) -> None:
    styles = tmp_path / "timeline.css"
    styles.write_text((TEMPLATES / "timeline.css").read_text("utf-8"), "utf-8")
    assert not lint(styles)


def test_an_undeclared_name_and_an_unused_one_are_findings(tmp_path: Path) -> None:
    page = tmp_path / "page.js"
    page.write_text('"use strict";\nconst unused = 1;\nundeclared();\n', "utf-8")
    found = lint(page)
    assert "noUndeclaredVariables" in found
    assert "noUnusedVariables" in found


def test_every_script_is_part_of_a_page() -> None:
    assert {path.name for path in TEMPLATES.glob("*.js")} == {*SCRIPTS, ONE_VOICE, TWO_VOICES}
