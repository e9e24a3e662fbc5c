"""``engagement_summary``: the people of each tier in a month (specification, 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.aggregates.engagement_tiers import CHURNED, CRITERIA, TIERS
from shared.aggregates.tally import Tally, ratio, top
from shared.aggregates.tier_counts import TierKey
from shared.containers import container
from shared.periods import monthly
from shared.privacy.classes import MIN_PEOPLE
from shared.scores import growth_rate
from shared.units import MICROS, Month
from shared.views.base import Rendered, Stamp, stamp_fields
from shared.views.content import trend_word
from shared.views.fields import not_measured

NAME = "engagement_summary"

SOURCES = frozenset({"user_interactions", "user_sessions"})
"""Containers of the source documents that it is computed from."""

PATTERNS = 3
"""Number of personas, of times of day and of categories in a document: the favourites of most people."""

FRESHNESS = "hourly"
"""How often the documents are computed."""

RETENTION = 0.75
"""The specification's retention_rate_threshold of power users. It is published; no tier requires it."""


def render_tiers(key: TierKey, own: Tally, earlier: Tally, stamp: Stamp) -> list[Rendered]:
    """Return the documents of all tiers of a month. A month without activity has none before it begins.

    Parameters
    ----------
    own, earlier
        The people of the month and of the month before, by tier: see :class:`TierCounts`.
    """
    users = {tier: own.part(tier).total("users") for tier in TIERS}
    everybody = sum(users.values())
    exists = everybody > users[CHURNED] or key.as_of >= monthly(key.month).first
    return [
        Rendered(
            document_id(tier, key.month),
            tier,
            _document(key, tier, own.part(tier), earlier.part(tier), everybody, stamp) if exists else None,
        )
        for tier in TIERS
    ]


def document_id(tier: str, month: Month) -> str:
    """Return the specification's id, ``engagement_summary_power_user_202508``."""
    return f"{NAME}_{tier}_{month}"


def _document(
    key: TierKey, tier: str, state: Tally, earlier: Tally, everybody: int, stamp: Stamp
) -> dict[str, Any]:
    users = state.total("users")
    own, past = _of_enough(state), _of_enough(earlier)
    criteria = CRITERIA.get(tier)
    return {
        "id": document_id(tier, key.month),
        "partition_key": tier,
        "engagement_tier": tier,
        "document_type": NAME,
        "tier_criteria": {
            "min_sessions_monthly": criteria.sessions if criteria else None,
            "min_engagement_score": criteria.engagement if criteria else None,
            "min_content_depth": criteria.depth if criteria else None,
            "retention_rate_threshold": RETENTION if criteria else None,
        },
        "user_count": users,
        "percentage_of_total": ratio(users, everybody),
        "avg_metrics": {
            "sessions_per_month": ratio(own.total("sessions"), own.total("users"), 2),
            "engagement_score": own.mean("engagement", MICROS),
            "session_duration_min": own.mean("session_seconds", 60, digits=2),
            "content_depth_score": own.mean("depth", MICROS),
            "satisfaction_rating": own.mean("rating", digits=2),
        },
        "common_patterns": {
            "preferred_personalities": _shared(own.counts("personas")),
            "peak_usage_times": _shared(own.counts("daytimes")),
            "content_preferences": _shared(own.counts("categories")),
            "session_triggers": None,
        },
        "business_value": {
            **not_measured(NAME, "business_value"),
            "churn_risk": own.mean("churn_risk", MICROS),
        },
        "trend_analysis": {
            "growth_rate_monthly": _growth(key, tier, users, earlier.total("users")),
            "retention_trend": trend_word(
                _retention(own), _retention(past), words=("improving", "declining", "stable")
            ),
            "engagement_trend": trend_word(
                own.mean("engagement", MICROS),
                past.mean("engagement", MICROS),
                words=("increasing", "decreasing", "stable"),
            ),
            "satisfaction_trend": trend_word(
                own.mean("rating"), past.mean("rating"), words=("increasing", "decreasing", "stable")
            ),
        },
        "last_updated": stamp_fields(stamp)["calculated_at"],
        "data_freshness": FRESHNESS,
        "sample_size": users,
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }


def _of_enough(state: Tally) -> Tally:
    """Return the state of a tier, empty if it is of too few people: its means would describe one of them."""
    return state if state.total("users") >= MIN_PEOPLE else Tally()


def _shared(people: Mapping[str, int]) -> list[str]:
    """Return the names that most people prefer, of those that enough people share."""
    return top({name: number for name, number in people.items() if number >= MIN_PEOPLE}, PATTERNS)


def _growth(key: TierKey, tier: str, users: int, earlier: int) -> float | None:
    """Return the growth since the month before.

    People become active in the course of a month, so a month is compared by people per day. The churned ones
    are a level, which does not depend on the length of the month.
    """
    if tier == CHURNED:
        return growth_rate(recent=users, earlier=earlier)
    period = monthly(key.month)
    days, days_before = period.days_passed(key.as_of), len(period.before().days())
    return growth_rate(recent=users / days, earlier=earlier / days_before)


def _retention(state: Tally) -> float | None:
    return ratio(state.total("returned"), state.total("users"))
