# SPDX-License-Identifier: GPL-2.0-only
"""Write the generated blocks of all pages anew, and print the pages that changed."""

from __future__ import annotations

import sys
from pathlib import Path

from .blocks import refresh

sys.stdout.writelines(f"{page.name}\n" for page in refresh(Path(__file__).parents[1]))
