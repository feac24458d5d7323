# SPDX-License-Identifier: GPL-2.0-only
"""A boot: the plan, and the stages that are taken of the guest."""
