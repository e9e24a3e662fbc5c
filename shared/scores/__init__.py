"""Every score of the views, as a pure function of numbers. ``docs/scores.md`` is generated from this package.

A score is a formula, not a measurement. Its parameters are the named constants next to it, each with its
reason. An argument of None means that the figure is not known. A result of None means that there is no score.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.scores.content import (
    efficiency,
    enhancement_priority,
    response_effectiveness,
    trending,
)
from shared.scores.people import (
    churn_risk,
    content_depth,
    engagement,
    next_session_probability,
    recommendation_confidence,
    upgrade_propensity,
)
from shared.scores.samples import (
    CONFIDENCE_LEVEL,
    bayesian_average_rating,
    calculation_confidence,
    data_completeness,
    growth_rate,
    satisfaction,
    wilson_lower_bound,
)
from shared.scores.service import health, health_status, resolution_efficiency

SCORES: tuple[Callable[..., float | str | None], ...] = (
    engagement,
    content_depth,
    churn_risk,
    next_session_probability,
    upgrade_propensity,
    recommendation_confidence,
    trending,
    response_effectiveness,
    efficiency,
    enhancement_priority,
    health,
    health_status,
    resolution_efficiency,
    satisfaction,
    bayesian_average_rating,
    wilson_lower_bound,
    growth_rate,
    data_completeness,
    calculation_confidence,
)
"""All scores, in the order of the page."""

__all__ = [
    "CONFIDENCE_LEVEL",
    "SCORES",
    "bayesian_average_rating",
    "calculation_confidence",
    "churn_risk",
    "content_depth",
    "data_completeness",
    "efficiency",
    "engagement",
    "enhancement_priority",
    "growth_rate",
    "health",
    "health_status",
    "next_session_probability",
    "recommendation_confidence",
    "resolution_efficiency",
    "response_effectiveness",
    "satisfaction",
    "trending",
    "upgrade_propensity",
    "wilson_lower_bound",
]
