# SPDX-License-Identifier: GPL-2.0-only
"""`python -m hvolab`: the same as the command `hvolab`."""

from __future__ import annotations

from hvolab.cli.app import main

if __name__ == "__main__":
    main()
