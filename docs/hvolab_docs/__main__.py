# SPDX-License-Identifier: GPL-2.0-only
"""Write the generated blocks of all pages, and the man page, anew, and print the files that changed."""

from __future__ import annotations

import sys
from pathlib import Path

from .blocks import refresh
from .man import PAGE, man_page

sys.stdout.writelines(f"{page.name}\n" for page in refresh(Path(__file__).parents[1]))
text = man_page()
if not PAGE.is_file() or PAGE.read_text("utf-8") != text:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}\n")
