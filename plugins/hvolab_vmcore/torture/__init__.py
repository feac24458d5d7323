# SPDX-License-Identifier: GPL-2.0-only
"""Small dumps of optimized machines, in every format, with the right answers: for tests of any reader of dumps."""
