"""Hypothesis profiles: fresh examples on a desk, the same examples every time in CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No test of hvolab is about time, and a busy machine is no finding.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
