# SPDX-License-Identifier: GPL-2.0-only
"""The invariants: the functions that check them, whose docstrings are their documentation.

A new module is found by itself (:mod:`hvolab.invariants.check`).
"""
