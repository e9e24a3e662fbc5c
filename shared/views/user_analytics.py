"""``user_analytics``: one person's month (specification, 2.1), as far as interactions tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from shared.aggregates import person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.person_month import by_day, split_key
from shared.catalogue import container
from shared.tally import merged, ratio, top
from shared.units import MICROS, Month, iso
from shared.views.base import Stamp, States, period_fields, stamp_fields

NAME = "user_analytics"

INTERESTS = 5
"""How many categories and personas a profile names."""

TEXTS = 100
"""How many texts a month names, those cited most."""

SIGNIFICANT_SAMPLE = 30
"""From this many interactions on, a mean is roughly normal (the usual rule of thumb)."""

DAYTIMES = ((5, 12, "morning"), (12, 17, "afternoon"), (17, 22, "evening"))
"""UTC hours of each part of the day; the rest is night."""


class UserAnalytics:
    """One document per person and month; its key is ``202508|<user id>``."""

    name = NAME
    container = NAME

    def shows(self, target: PartialKey) -> tuple[str, ...]:
        """Return the person's month that a partial belongs to."""
        return (target.key,) if target.aggregate == person_month.NAME else ()

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        """Return the month's state."""
        return (PartialKey(person_month.NAME, key),)

    def partition(self, key: str) -> str:
        """Return the user id."""
        return split_key(key)[1]

    def document_id(self, key: str) -> str:
        """Return the specification's id: the start of the user id and the month.

        ``user_analytics_e45d45fe_202508``; unique because each person has a logical partition of their own.
        """
        month, user_id = split_key(key)
        return f"user_analytics_{re.sub(r'[^A-Za-z0-9_.-]', '_', user_id[:8])}_{month}"

    def render(self, key: str, states: States, stamp: Stamp) -> dict[str, Any]:
        """Return the specification's document for one person and month."""
        month, user_id = split_key(key)
        days = by_day(states.of(person_month.NAME, key))
        state = merged(days.values())
        interactions = state.total("interactions")
        sessions = len(state.counts("sessions"))
        passages = state.counts("passages")
        citations = sum(passages.values())
        discovery = ratio(len(passages), citations)
        hours = state.counts("hours")
        return {
            "id": self.document_id(key),
            "partition_key": user_id,
            "user_id": user_id,
            "document_type": NAME,
            **period_fields(month),
            "data_freshness": iso(stamp.as_of),
            "user_profile": {
                **dict.fromkeys(("user_tier", "engagement_score", "expertise_level")),
                "primary_interests": top(state.counts("categories"), INTERESTS),
                "personality_affinity": top(state.counts("personas"), INTERESTS),
            },
            "session_metrics": {
                "total_sessions": sessions,
                "peak_usage_hour": int(top(hours, 1)[0]) if hours else None,
                "session_frequency_days": _days_between_sessions(days, month, sessions),
                **dict.fromkeys(
                    ("avg_session_duration_min", "session_completion_rate", "preferred_session_length")
                ),
            },
            "interaction_metrics": {
                "total_interactions": interactions,
                "avg_interactions_per_session": ratio(sum(state.counts("sessions").values()), sessions, 2),
                "query_complexity_avg": state.mean("complexity", MICROS),
                "response_satisfaction_avg": state.mean("rating", digits=2),
                "citation_engagement_rate": ratio(state.total("cited"), interactions),
            },
            "content_metrics": {
                "foundational_texts_accessed": sorted(top(state.counts("texts"), TEXTS)),
                "content_discovery_rate": discovery,
                "content_retention_rate": None if discovery is None else round(1 - discovery, 4),
                **dict.fromkeys(("content_depth_score", "favorite_content_types")),
            },
            "behavioral_insights": {
                "peak_engagement_time": _daytime(hours),
                **dict.fromkeys(
                    ("usage_pattern", "session_triggers", "response_preferences", "learning_progression")
                ),
            },
            "predictions": dict.fromkeys(
                (
                    "churn_risk_score",
                    "lifetime_value_estimate",
                    "next_session_probability",
                    "upgrade_propensity",
                    "content_recommendation_confidence",
                )
            ),
            "cost": {
                "nano_usd": state.total("cost") if state.total("cost#") else None,
                "unpriced_interactions": interactions - state.total("cost#") - state.total("unmeasured"),
                "unmeasured_interactions": state.total("unmeasured"),
            },
            "quality_indicators": {
                "data_completeness": None,
                "calculation_confidence": None,
                "sample_size": interactions,
                "statistical_significance": interactions >= SIGNIFICANT_SAMPLE,
            },
            **stamp_fields(stamp),
            "next_calculation_due": None,
            "_ttl": container(NAME).default_ttl,
        }


def _days_between_sessions(days: Collection[str], month: Month, sessions: int) -> float | None:
    """Days from the first active day to the last, by the gaps between sessions."""
    if sessions < 2:
        return None
    first, last = (date(int(month[:4]), int(month[4:]), int(day)) for day in (min(days), max(days)))
    return round((last - first).days / (sessions - 1), 2)


def _daytime(hours: Mapping[str, int]) -> str | None:
    parts: Counter[str] = Counter()
    for hour, interactions in hours.items():
        part = next((name for start, end, name in DAYTIMES if start <= int(hour) < end), "night")
        parts[part] += interactions
    return top(parts, 1)[0] if parts else None
