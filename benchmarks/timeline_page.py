# SPDX-License-Identifier: GPL-2.0-only
"""Size of timelines, and time of their first view and of steps in headless Chromium.

`python -m benchmarks.timeline_page PAGE...` measures pages of `hvolab run --html`. Steps are taken one by one, forward
and back, at a quarter and at three quarters of each page, and from end to end; the time of a step ends with its layout.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

#: Steps around a place, and jumps from end to end; returns milliseconds.
_STEPS = """() => {
  const last = made.steps.length - 1, times = [];
  const timed = (number) => {
    const start = performance.now();
    show(number);
    document.body.getBoundingClientRect();
    times.push(performance.now() - start);
  };
  for (const place of [Math.floor(last / 4), Math.floor(last * 3 / 4)]) {
    show(place);
    for (let by = 1; by <= 20; by++) timed(Math.min(last, place + by));
    for (let by = 20; by >= 0; by--) timed(Math.max(0, place + by));
  }
  for (let turn = 0; turn < 10; turn++) timed(turn % 2 ? 0 : last);
  return times;
}"""


def measure(browser: Any, file: Path) -> str:
    """Return the figures of a page, a line."""
    page = browser.new_page()
    page.goto(file.resolve().as_uri())
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
    times, steps = page.evaluate(_STEPS), page.evaluate("made.steps.length")
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
