"""Settings of the kit's property tests: hypothesis, with the same examples every time and nothing stored on disk."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

#: Settings of every property: the same plugin gets the same result in every run.
repeatable = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
