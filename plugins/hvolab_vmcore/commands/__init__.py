# SPDX-License-Identifier: GPL-2.0-only
"""Commands `hvolab inspect`, `page`, `savings`, `replay` and `torture`."""
