# SPDX-License-Identifier: GPL-2.0-only
"""Steps of actors: what each touches, the order that follows, and the scheduler that runs them."""
