# SPDX-License-Identifier: GPL-2.0-only
"""The page in headless Chromium: steps, search, the address of a step, keys, dark mode, accessibility."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.run import record_first, run
from hvolab_explorer.search.spec import SearchSpec
from hvolab_report.timeline.page import page_of
from hvolab_report.timeline.writer import TimelineWriter
from tests.machines import x86_64
from tests.plugins.hvolab_report.runs import data, pair
from tests.rooms import ROOT

pytestmark = pytest.mark.slow
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'hvolab[browser]'")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run."""
    made = tmp_path_factory.mktemp("timeline") / "page.html"
    made.write_text(page_of(data()), "utf-8")
    return made


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs."""
    made = tmp_path_factory.mktemp("pair") / "page.html"
    made.write_text(page_of(pair()), "utf-8")
    return made


@pytest.fixture(scope="module")
def lanes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a finding of the explorer."""
    made = tmp_path_factory.mktemp("lanes") / "page.html"
    writer = TimelineWriter()
    found = run(Configuration("", "", parse_actors("allocate A, taker-6.11 A.64")), x86_64(), SearchSpec(), 60)
    record_first([found], found.target, writer)
    writer.write(made)
    return made


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    """The page, open; whatever it writes to the console fails the test."""
    yield from opened(browser, file)


@pytest.fixture
def both(browser: Any, pair_file: Path) -> Iterator[Any]:
    """The page of two voices, open; as above."""
    yield from opened(browser, pair_file)


@pytest.fixture
def lanes(browser: Any, lanes_file: Path) -> Iterator[Any]:
    """The page of a finding of the explorer, open; as above."""
    yield from opened(browser, lanes_file)


def opened(browser: Any, file: Path) -> Iterator[Any]:
    """Yield a page that must not write to the console."""
    messages: list[str] = []
    made = browser.new_page()
    made.on("console", lambda message: messages.append(message.text))
    made.on("pageerror", lambda error: messages.append(str(error)))
    made.goto(file.as_uri())
    yield made
    made.close()
    assert messages == []


def number(page: Any) -> int:
    """The step that is shown."""
    return int(page.inner_text("#where").split()[1])


def test_keys_and_buttons_step_and_the_address_follows(page: Any) -> None:
    start = number(page)
    page.keyboard.press("ArrowRight")
    assert number(page) > start
    assert page.url.endswith(f"#step={number(page)}")
    page.click("#back")
    assert number(page) == start
    page.keyboard.press("End")
    assert number(page) == data()["voices"][0]["steps"] - 1
    page.keyboard.press("Home")
    assert number(page) == 0


def test_the_address_of_a_step_opens_it(page: Any, file: Path) -> None:
    page.goto("about:blank")
    page.goto(f"{file.as_uri()}#step=42")
    assert number(page) == 42
    assert page.locator("#list [aria-selected=true]").count() == 1


def test_search_finds_the_remap_and_the_picture_shows_read_only_tails(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("vmemmap_remap_pte")
    page.keyboard.press("Enter")
    assert page.inner_text("#detail").startswith("smp_wmb")
    page.keyboard.press("Enter")
    assert "vmemmap_remap_pte()" in page.inner_text("#detail")
    chosen, listed = page.locator("#list [aria-selected=true]").bounding_box(), page.locator("#list").bounding_box()
    assert listed["y"] <= chosen["y"] < listed["y"] + listed["height"]
    leaves = page.locator("#picture [role=button]").all_text_contents()
    assert leaves == ["pte RW", *["pte RO"] * 7]
    assert page.locator(".chip.stale").count() > 0
    page.locator("#picture [role=button]").nth(1).press("Enter")
    assert "PAGE_KERNEL_RO" in page.inner_text("#entry")


def test_at_the_start_one_leaf_maps_all_pages_and_at_the_end_each_has_a_frame(page: Any) -> None:
    page.keyboard.press("Home")
    assert page.locator("#picture [role=button]").all_text_contents() == ["pmd RW"] * 8
    page.keyboard.press("End")
    assert page.locator("#picture [role=button]").all_text_contents() == ["pte RW"] * 8
    assert page.locator("#picture rect.frame").count() == 8


def test_a_step_back_shows_the_tlbs_and_frames_of_the_steps_before(page: Any) -> None:
    last = data()["voices"][0]["steps"] - 1
    shown = "number => (show(number), [get('lanes').innerText, get('picture').textContent])"
    numbers = range(0, last, max(1, last // 12))
    forward = [page.evaluate(shown, number) for number in numbers]
    assert len({tuple(each) for each in forward}) > 4
    assert any("freed" in picture for _, picture in forward)
    page.evaluate(shown, last)
    assert [page.evaluate(shown, number) for number in reversed(numbers)] == forward[::-1]


def test_the_picture_is_saved_as_a_file_of_its_own(page: Any) -> None:
    page.evaluate("show(made.steps.findIndex(one => one.name === 'page.free'))")
    with page.expect_download() as saved:
        page.keyboard.press("s")
    assert saved.value.suggested_filename == f"vmemmap-step-{number(page)}.svg"
    text = saved.value.path().read_text("utf-8")
    root = ET.fromstring(text)
    shown = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert shown == page.locator("#picture text").all_text_contents()
    assert all("stroke" in each.attrib for each in root.iter("{http://www.w3.org/2000/svg}path"))
    assert "var(" not in text
    assert "class=" not in text


def test_dark_mode_and_a_narrow_screen(page: Any) -> None:
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_two_voices_open_at_the_first_difference_and_step_together(both: Any, pair_file: Path) -> None:
    start = number(both)
    assert both.inner_text("#differs").startswith("Differs: ")
    assert "≠" in both.inner_text("#list [aria-selected=true]")
    both.keyboard.press("Home")
    assert (number(both), both.inner_text("#differs")) == (0, "Alike")
    both.keyboard.press("ArrowRight")
    assert (number(both), both.inner_text("#detail0")) == (1, both.inner_text("#detail1"))
    both.keyboard.press("d")
    assert number(both) == start
    assert both.url.endswith(f"#step={start}")
    both.keyboard.press("Home")
    both.click("#differ")
    assert both.inner_text("#detail0 strong") == "alloc_pages order 0"
    assert both.inner_text("#detail1 strong").endswith("failed")
    both.goto("about:blank")
    both.goto(f"{pair_file.as_uri()}#step=42")
    assert number(both) == 42


def test_two_voices_show_their_own_memory_and_are_searched_together(both: Any) -> None:
    both.keyboard.press("d")
    both.keyboard.press("/")
    both.keyboard.type("folio optimize.end")
    both.keyboard.press("Enter")
    before, after = (both.locator(f"#picture{side} text").all_text_contents() for side in (0, 1))
    assert "new frames" in before  # of the head, for which the other has no frame
    assert "new frames" not in after
    both.locator("#picture1 [role=button]").nth(1).press("Enter")
    assert "Entry: " in both.inner_text("#entry1")
    assert both.inner_text("#entry0") == ""


def test_two_voices_on_a_narrow_screen(both: Any) -> None:
    both.set_viewport_size({"width": 390, "height": 844})
    assert both.evaluate("document.documentElement.scrollWidth") <= 390


def test_each_actor_of_a_schedule_has_a_lane(lanes: Any) -> None:
    lanes.keyboard.press("End")
    assert lanes.inner_text("#list .lane1[aria-selected=true]").startswith("taker-6.11 A.64 faults: ")
    lanes.keyboard.press("Home")
    assert lanes.inner_text("#list .lane0[aria-selected=true]") == "CPU0 allocate A: begins"
    assert "CPU 1 taker-6.11 A.64" in lanes.inner_text("#lanes")


def test_the_step_at_which_a_finding_could_be_prevented_is_marked_in_its_lane(lanes: Any) -> None:
    lanes.keyboard.press("p")
    marked = lanes.inner_text("#list .lane0.noted[aria-selected=true]")
    assert marked == "» CPU0 allocate A: store 4 bytes at A+52"
    assert lanes.locator("#list .noted").count() == 1
    assert "with taker-6.11 A.64, then allocate A in its place" in lanes.inner_text("#detail .noted")
    before = number(lanes)
    lanes.keyboard.press("f")
    assert number(lanes) > before
    lanes.click("#noted")
    assert number(lanes) == before


def test_a_page_without_such_a_step_does_not_offer_it(page: Any) -> None:
    assert not page.is_visible("#noted")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["page", "both", "lanes"])
def test_axe_finds_no_violation(request: pytest.FixtureRequest, scheme: str, name: str) -> None:
    if not AXE.exists():
        pytest.skip("no axe-core: npm install")
    page = request.getfixturevalue(name)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    if name == "lanes":
        page.keyboard.press("p")
    page.locator("svg [role=button]").first.click()
    page.add_script_tag(path=str(AXE))
    assert [found["id"] for found in page.evaluate("axe.run()")["violations"]] == []
