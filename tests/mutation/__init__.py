# SPDX-License-Identifier: GPL-2.0-only
"""Mutation run over the engine and pools: `python -m tests.mutation`, see docs/mutation.md."""
