# SPDX-License-Identifier: GPL-2.0-only
"""Guest of an emulated CPU: its text, its memory, and the frames that are reserved for it."""
