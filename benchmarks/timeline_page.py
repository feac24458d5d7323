# SPDX-License-Identifier: GPL-2.0-only
"""Size of timelines, and CPU time of their loading and of steps in headless Chromium.

`python -m benchmarks.timeline_page PAGE...` measures pages of one voice, or of two, whose steps are rows. Steps are
taken one by one, forward and back, at a quarter and at three quarters of each page, and from end to end. Times are
those of the page's main thread, in which other processes do not count: scripts, styles and layout, and about a
millisecond of the measurement itself.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

_STEPS = "timeline.voices.length === 1 ? made.steps.length : rows.length"
_SHOW = "number => { show(number); document.body.getBoundingClientRect(); }"


class PageClock:
    """CPU time of the main thread of a page, in milliseconds."""

    def __init__(self, page: Any) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def now(self) -> float:
        """Return the time up to now."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(1000 * each["value"] for each in metrics if each["name"] == "TaskDuration"))


def steps_to_take(last: int) -> Iterator[int]:
    """Yield numbers of steps: around two places, and from end to end."""
    for place in (last // 4, last * 3 // 4):
        yield from (min(last, place + by) for by in range(21))
        yield from (min(last, place + by) for by in range(20, -1, -1))
    yield from (last, 0) * 5


def measure(browser: Any, file: Path) -> str:
    """Return the figures of a page, a line."""
    page = browser.new_page()
    clock = PageClock(page)
    start = clock.now()
    page.goto(file.resolve().as_uri())
    ready, times = clock.now() - start, []
    steps = page.evaluate(_STEPS)
    for number in steps_to_take(steps - 1):
        start = clock.now()
        page.evaluate(_SHOW, number)
        times.append(clock.now() - start)
    page.close()
    size, step = file.stat().st_size / 1000, f"step {median(times):5.1f} ms, at most {max(times):5.1f} ms"
    return f"{size:9.1f} kB  {steps:8} steps  ready {ready:5.0f} ms  {step}"


def main() -> int:
    """Measure the pages that the command line names."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the extra `browser`

    chromium = shutil.which("chromium")
    if chromium is None:
        print("cannot measure: no Chromium; apt-get install chromium", file=sys.stderr)
        return 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in sys.argv[1:]:
            print(f"{measure(browser, Path(name))}  {name}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
