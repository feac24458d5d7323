# SPDX-License-Identifier: GPL-2.0-only
"""Relocatable objects, linked over the kernel of an image in place of its own copy of a file."""
