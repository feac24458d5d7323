"""How the kit tries properties: with hypothesis, the same examples every time, and nothing written to disk."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

#: Settings of every property: a conformance run says the same of the same plugin today and tomorrow.
always_alike = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
