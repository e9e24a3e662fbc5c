"""``system_health``: the figures of five minutes (specification, 3.3), computed from facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from shared.aggregates.tally import ratio
from shared.builds.rows import WINDOW_MINUTES
from shared.containers import container
from shared.facts import Fact, IncidentFact, InteractionFact
from shared.scores import health, health_status, satisfaction
from shared.units import MICROS, Millis, iso
from shared.views.alerts import alerts, courses
from shared.views.base import Rendered, Stamp, stamp_fields

NAME = "system_health"

WINDOW = timedelta(minutes=WINDOW_MINUTES)
HISTORY = 12
"""Windows in one hour. The view counts the alerts that ended within this hour."""


@dataclass(frozen=True, slots=True)
class Window:
    """Five minutes that start at a multiple of five minutes."""

    start: datetime

    @classmethod
    def at(cls, moment: datetime) -> Window:
        """Return the window that contains a moment."""
        moment = moment.astimezone(UTC)
        return cls(moment.replace(minute=moment.minute - moment.minute % 5, second=0, microsecond=0))

    @property
    def end(self) -> datetime:
        """The end of this window, which is the start of the next one."""
        return self.start + WINDOW

    def before(self, windows: int = 1) -> Window:
        """Return the window that is this number of windows earlier."""
        return Window(self.start - windows * WINDOW)

    def holds(self, moment: Millis) -> bool:
        """Return whether the window contains a moment. The end is exclusive."""
        return self.start.timestamp() * 1000 <= moment < self.end.timestamp() * 1000


def render_health(window: Window, facts: Sequence[Fact], stamp: Stamp) -> list[Rendered]:
    """Return the documents of a window. A window without interactions and incidents has none.

    Parameters
    ----------
    facts
        The facts of :data:`HISTORY` windows, of which the window is the last.
    """
    now = _Figures([fact for fact in facts if window.holds(fact.at)])
    if not now.interactions and not now.incidents:
        return []
    score = health(
        error_rate=now.error_rate,
        p95_response_ms=now.p95,
        safety=now.safety,
        content_accuracy=now.accurate,
        citation_accuracy=now.citation_accuracy,
        satisfaction_score=satisfaction(rating_sum=sum(now.ratings), ratings=len(now.ratings)),
    )
    quality = {
        "user_satisfaction": now.rating,
        "content_accuracy": now.accurate,
        "citation_accuracy": now.citation_accuracy,
        "safety_score": now.safety,
    }
    safety = {
        "incidents": len(now.incidents),
        "critical_incidents": sum(1 for incident in now.incidents if incident.severity == "critical"),
    }
    performance = {
        "performance_metrics": {
            "avg_response_time_ms": ratio(sum(now.times), len(now.times), 1),
            "p95_response_time_ms": now.p95,
            "requests_per_second": ratio(len(now.interactions), int(WINDOW.total_seconds())),
            "error_rate": now.error_rate,
            "availability": None,
        },
        "resource_health": dict.fromkeys(
            (
                "cosmos_db_health",
                "cosmos_ru_utilization",
                "azure_functions_health",
                "function_error_rate",
                "storage_utilization",
            )
        ),
        "quality_indicators": quality,
        "safety_metrics": safety,
        "active_alerts": now.alerts(),
        "resolved_alerts_last_hour": _resolved(window, facts),
        "overall_health_score": score,
        "health_status": health_status(score=score),
    }
    blocks: dict[str, dict[str, Any]] = {
        "performance": performance,
        "quality": {"quality_indicators": quality},
        "safety": {"safety_metrics": safety},
    }
    return [_rendered(window, kind, block, stamp) for kind, block in blocks.items()]


def _rendered(window: Window, kind: str, block: dict[str, Any], stamp: Stamp) -> Rendered:
    document_id = f"{NAME}_{kind}_{window.start:%Y%m%d_%H%M}"
    body = {
        "id": document_id,
        "partition_key": kind,
        "metric_type": kind,
        "document_type": NAME,
        "timestamp": iso(window.start),
        "time_window_minutes": int(WINDOW.total_seconds()) // 60,
        **block,
        "next_update_due": iso(window.end),
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }
    return Rendered(document_id, kind, body)


class _Figures:
    """The figures of the facts of one window."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.interactions = [fact for fact in facts if isinstance(fact, InteractionFact)]
        self.incidents = [fact for fact in facts if isinstance(fact, IncidentFact)]
        self.times = sorted(f.response_ms for f in self.interactions if f.response_ms is not None)
        self.ratings = [fact.rating for fact in self.interactions if fact.rating is not None]
        answers = [fact.answered for fact in self.interactions if fact.answered is not None]
        self.error_rate = ratio(answers.count(False), len(answers))
        self.p95 = self.times[ceil(0.95 * len(self.times)) - 1] if self.times else None
        self.rating = ratio(sum(self.ratings), len(self.ratings), 2)
        verdicts = [fact.accurate for fact in self.interactions if fact.accurate is not None]
        self.accurate = ratio(verdicts.count(True), len(verdicts))
        self.citation_accuracy = _mean([fact.citation_accuracy for fact in self.interactions])
        self.safety = _mean([fact.safety for fact in self.interactions])

    def values(self) -> dict[str, float | None]:
        return {
            "error_rate": self.error_rate,
            "avg_response_time_ms": ratio(sum(self.times), len(self.times), 1),
            "user_satisfaction": self.rating,
        }

    def alerts(self) -> list[dict[str, Any]]:
        return [alert | {"resolved": False} for alert in alerts(self.values())]


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return ratio(sum(known), len(known) * MICROS)


def _resolved(window: Window, facts: Sequence[Fact]) -> int:
    """Return the number of alerts in the last hour that the next window with interactions no longer had."""
    windows = []
    for back in reversed(range(HISTORY)):
        earlier = window.before(back)
        figures = _Figures([fact for fact in facts if earlier.holds(fact.at)])
        if figures.interactions:
            windows.append((-back * WINDOW_MINUTES, figures.values()))
    return sum(course.ended is not None for course in courses(windows))
