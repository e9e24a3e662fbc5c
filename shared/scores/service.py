"""Scores of the service as a whole: its health, and its handling of incidents."""

from __future__ import annotations

from shared.scores.shapes import (
    Number,
    clamp01,
    decaying,
    non_negative,
    rounded,
    saturating,
    weighted_geometric_mean,
)

HALF_ERROR_RATE = 0.05
"""One request in twenty without an answer halves the part. Such a service is less than half healthy."""

TOLERABLE_P95_MS = 4_800
"""Four times the specification's target of 1,200 ms: the limit that Apdex calls tolerable."""

HEALTH_WEIGHTS = {
    "answering": 0.4,
    "speed": 0.2,
    "safety": 0.2,
    "content_accuracy": 0.07,
    "citation_accuracy": 0.07,
    "satisfaction": 0.06,
}
"""Answering weighs most, then speed and safety. Quality changes slowly and is rarely an outage."""

HEALTH_STATUSES = ((0.9, "excellent"), (0.75, "good"), (0.5, "fair"), (0.0, "poor"))
"""Lowest score of each word. The specification's sample calls 0.96 excellent."""

HALF_RESOLUTION_HOURS = 24
"""An incident closed after a day is worth half of one closed immediately."""


def health(
    *,
    error_rate: Number,
    p95_response_ms: Number,
    safety: Number,
    content_accuracy: Number,
    citation_accuracy: Number,
    satisfaction_score: Number,
) -> float | None:
    """Return the health of the service.

    A weighted geometric mean of the known parts, so that one failed part lowers the whole score. For
    ``system_health``: ``overall_health_score``.

    Formula: the geometric mean, weighted by HEALTH_WEIGHTS, of answering = 2^(−error_rate / HALF_ERROR_RATE),
    speed = min(1, TOLERABLE_P95_MS / p95_response_ms), and the other inputs unchanged, if they are known.

    Parameters
    ----------
    error_rate
        Share of requests without an answer; None gives None.
    p95_response_ms
        95th percentile of the response time.
    safety, content_accuracy, citation_accuracy
        Means of the window, 0 to 1.
    satisfaction_score
        As ``satisfaction`` gives it.

    Returns
    -------
    float | None
        0 to 1.
    """
    if error_rate is None:
        return None
    speed = None
    if p95_response_ms is not None:
        speed = TOLERABLE_P95_MS / max(TOLERABLE_P95_MS, p95_response_ms)
    weights = HEALTH_WEIGHTS
    mean = weighted_geometric_mean(
        (weights["answering"], decaying(clamp01(error_rate), HALF_ERROR_RATE)),
        (weights["speed"], speed),
        (weights["safety"], safety),
        (weights["content_accuracy"], content_accuracy),
        (weights["citation_accuracy"], citation_accuracy),
        (weights["satisfaction"], satisfaction_score),
    )
    return None if mean is None else rounded(mean)


def health_status(*, score: Number) -> str | None:
    """Return the word for a health score. For ``system_health``: ``health_status``.

    Formula: the word of the highest threshold in HEALTH_STATUSES that the score reaches.

    Parameters
    ----------
    score
        As ``health`` gives it.

    Returns
    -------
    str | None
        excellent, good, fair or poor.
    """
    if score is None:
        return None
    return next(word for least, word in HEALTH_STATUSES if clamp01(score) >= least)


def resolution_efficiency(
    *, incidents: Number, resolved: Number, avg_resolution_hours: Number
) -> float | None:
    """Return the share of closed incidents, reduced by the time until they were closed.

    A share times a hyperbolic decay. For ``incidents_by_content``:
    ``trend_analysis.resolution_efficiency``.

    Formula: resolved / incidents × h / (h + avg_resolution_hours), with h = HALF_RESOLUTION_HOURS.

    Parameters
    ----------
    incidents
        Incidents of the period; None or 0 gives None.
    resolved
        Closed incidents among them.
    avg_resolution_hours
        Mean time from report to closing; None gives None, unless nothing is closed yet.

    Returns
    -------
    float | None
        0 to 1.
    """
    if not incidents or incidents < 0 or resolved is None:
        return None
    if non_negative(resolved) == 0:
        return 0.0
    if avg_resolution_hours is None:
        return None
    soon = 1 - saturating(avg_resolution_hours, HALF_RESOLUTION_HOURS)
    return rounded(clamp01(resolved / incidents) * soon)
