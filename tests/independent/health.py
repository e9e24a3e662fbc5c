"""``system_health``, from ``docs/fields.md``."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.differences import Near, Text
from tests.independent import scores
from tests.independent.arithmetic import mean, nothing, part_of
from tests.independent.days import figures_of, raised, window_of
from tests.independent.interactions import Document, at, measured
from tests.independent.sources import Sources, noticed

FIVE_MINUTES = timedelta(minutes=5)
WINDOWS = 3
"""Windows that a run publishes: the one that runs, and two before it."""


def windows_of(now: datetime) -> list[datetime]:
    """Return the starts of the windows that a run publishes, the latest first."""
    return [window_of(now.astimezone(UTC)) - number * FIVE_MINUTES for number in range(WINDOWS)]


def expected_health(sources: Sources, now: datetime) -> dict[str, Document]:
    """Build the documents of the windows that a run publishes, by id."""
    documents = (document for start in windows_of(now) for document in expected_window(start, sources))
    return {document["id"]: document for document in documents}


def expected_window(start: datetime, sources: Sources) -> list[Document]:
    """Build the three documents of a window; none if nothing happened in it."""
    interactions = within(start, sources.interactions)
    incidents = [i for i in sources.incidents if window_of(noticed(i).astimezone(UTC)) == start]
    if not interactions and not incidents:
        return []
    errors, slowness, rating = figures_of(interactions)
    times = sorted(round(ms) for ms in measured(interactions, "response_time_ms"))
    slowest = times[math.ceil(0.95 * len(times)) - 1] if times else None
    quality = {
        "user_satisfaction": rating,
        "content_accuracy": mean(measured(interactions, "user_feedback", "accurate"), 4),
        "citation_accuracy": mean(measured(interactions, "quality_metrics", "citation_accuracy"), 4),
        "safety_score": mean(measured(interactions, "quality_metrics", "safety_score"), 4),
    }
    safety = {
        "incidents": len(incidents),
        "critical_incidents": sum(incident.get("severity") == "critical" for incident in incidents),
    }
    score = health_of(errors, slowest, quality, measured(interactions, "user_rating"))
    performance = {
        "performance_metrics": {
            "avg_response_time_ms": slowness,
            "p95_response_time_ms": slowest,
            "requests_per_second": part_of(len(interactions), 300),
            "error_rate": errors,
            "availability": None,
        },
        "resource_health": nothing(
            "cosmos_db_health", "cosmos_ru_utilization", "azure_functions_health", "function_error_rate",
            "storage_utilization",
        ),
        "quality_indicators": quality,
        "safety_metrics": safety,
        "active_alerts": [
            {
                "alert_type": kind,
                "severity": severity,
                "message": Text(f"{figure} ", f" is {bound}"),
                "resolved": False,
                "resolution_time_min": None,
            }
            for kind, severity, figure, bound in raised(errors, slowness, rating)
        ],
        "resolved_alerts_last_hour": ended_within_the_hour(start, sources.interactions),
        "overall_health_score": scores.near(score),
        "health_status": word_of(score),
    }  # fmt: skip
    return [
        {
            "id": f"system_health_{kind}_{start:%Y%m%d_%H%M}",
            "partition_key": kind,
            "metric_type": kind,
            "document_type": "system_health",
            "timestamp": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "time_window_minutes": 5,
            **block,
            "next_update_due": f"{start + FIVE_MINUTES:%Y-%m-%dT%H:%M:%SZ}",
        }
        for kind, block in (
            ("performance", performance),
            ("quality", {"quality_indicators": quality}),
            ("safety", {"safety_metrics": safety}),
        )
    ]


def within(start: datetime, interactions: list[Document]) -> list[Document]:
    return [d for d in interactions if window_of(at(d).astimezone(UTC)) == start]


def ended_within_the_hour(last: datetime, interactions: list[Document]) -> int:
    """Count the alerts that one window had and the next one with interactions no longer had."""
    hour = [within(last - number * FIVE_MINUTES, interactions) for number in reversed(range(12))]
    alerts = [{kind for kind, *_ in raised(*figures_of(documents))} for documents in hour if documents]
    return sum(len(before - after) for before, after in pairwise(alerts))


def health_of(
    errors: Near | None, slowest: int | None, quality: dict[str, Near | None], ratings: list[float]
) -> float | None:
    """Compute the score from the figures as they are shown."""
    if errors is None:
        return None
    parts = [(0.4, 2 ** (-round(errors.value, 4) / 0.05))]
    parts += [] if slowest is None else [(0.2, min(1.0, 4800 / max(1, slowest)))]
    for weight, name in ((0.2, "safety_score"), (0.07, "content_accuracy"), (0.07, "citation_accuracy")):
        figure = quality[name]
        parts += [] if figure is None else [(weight, round(figure.value, 4))]
    satisfied = scores.satisfaction(ratings)
    parts += [] if satisfied is None else [(0.06, round(satisfied, 4))]
    total = sum(weight for weight, _ in parts)
    return math.prod(value ** (weight / total) for weight, value in parts)


def word_of(score: float | None) -> str | None:
    if score is None:
        return None
    words = ((0.9, "excellent"), (0.75, "good"), (0.5, "fair"), (0.0, "poor"))
    return next(word for least, word in words if round(score, 4) >= least)
