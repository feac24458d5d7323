# SPDX-License-Identifier: GPL-2.0-only
"""One struct page of a scanned dump: where it is, how it is mapped, whose page it describes, and its fields."""
