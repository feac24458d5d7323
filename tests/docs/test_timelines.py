# SPDX-License-Identifier: GPL-2.0-only
"""The page `pictures`: its moments are in the runs, and its timelines are live in the built page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from docs.hvolab_docs import figures, timelines
from hvolab_report.perfetto_trace.steps import steps_of
from tests.docs.desk import DOCS

TEXT = (DOCS / "pictures.md").read_text("utf-8")
LINKS = sorted(set(re.findall(r"timeline:([\w-]+)#([\w-]+)", TEXT)))


def test_the_page_names_every_run_and_every_moment() -> None:
    assert {run for run, _ in LINKS} == set(timelines.RUNS)
    assert {moment for _, moment in LINKS} == set(timelines.MOMENTS)


def test_the_moments_of_the_run_are_in_the_order_of_the_page() -> None:
    (voice,) = timelines.data_of("optimize")["voices"]
    names = re.findall(r'href="timeline:optimize#([\w-]+)"', TEXT)
    numbers = [timelines.moment(voice, name) for name in names]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 7
    steps = list(steps_of(voice))
    assert steps[numbers[names.index("flush")]].name == "flush.all"
    with pytest.raises(LookupError, match="'finding'"):
        timelines.moment(voice, "finding")


def test_without_the_flush_the_free_completes_the_finding() -> None:
    (voice,) = timelines.data_of("no-flush")["voices"]
    found = list(steps_of(voice))[timelines.moment(voice, "finding")]
    assert found.name == "page.free"
    assert {voice["findings"][number]["rule"] for number in found.findings} == {"flushed"}


@pytest.fixture(scope="module")
def chromium() -> str:
    """Debian's Chromium."""
    pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'hvolab[browser]'")
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return found


@pytest.mark.slow
def test_the_figures_for_slides_are_those_of_the_runs(chromium: str) -> None:
    drawn = figures.figures(chromium)
    kept = {path.stem: path.read_text("utf-8") for path in figures.FOLDER.glob("*.svg")}
    assert kept == drawn, "make figures draws them again"


def test_the_lesson_links_every_figure() -> None:
    text = (DOCS / "hvo-in-an-hour.md").read_text("utf-8")
    assert set(re.findall(r"static/slides/([\w-]+)\.svg", text)) == set(figures.FIGURES)


@pytest.mark.slow
def test_the_timelines_are_live_in_the_built_page(chromium: str, tmp_path: Path) -> None:
    sphinx = pytest.importorskip("sphinx.application", reason="no Sphinx: pip install 'hvolab[docs]'")
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'hvolab[browser]'")
    only = {"include_patterns": ["pictures.md"], "root_doc": "pictures", "suppress_warnings": ["myst.xref_missing"]}
    sphinx.Sphinx(DOCS, DOCS, tmp_path / "html", tmp_path / "trees", "html", confoverrides=only, status=None).build()
    messages: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto((tmp_path / "html" / "pictures.html").as_uri())
        frame = page.frame("optimize")
        assert frame.locator("#picture [role=button]").all_text_contents() == ["pmd RW"] * 8
        page.click("a:text-is('The remap') >> nth=0")
        frame.wait_for_function("location.hash !== '#step=0'")
        assert frame.locator("#picture [role=button]").all_text_contents() == ["pte RW", *["pte RO"] * 7]
        before = frame.inner_text("#where")
        frame.click("#next")
        assert frame.inner_text("#where") != before
        assert page.frame("no-flush").locator("#detail .bad").count() > 0
        browser.close()
    assert messages == []
