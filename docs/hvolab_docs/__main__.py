# SPDX-License-Identifier: GPL-2.0-only
"""Write the generated blocks of all pages, the man page and the schemas anew, and print the files that changed."""

from __future__ import annotations

import sys
from pathlib import Path

from .blocks import refresh
from .man import PAGE, man_page
from .schemas import RESULTS, path_of, text_of

sys.stdout.writelines(f"{page.name}\n" for page in refresh(Path(__file__).parents[1]))
for path, text in [(PAGE, man_page()), *((path_of(command), text_of(command)) for command in RESULTS)]:
    if not path.is_file() or path.read_text("utf-8") != text:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.name}\n")
