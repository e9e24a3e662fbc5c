"""``engagement_summary``: the people of each tier in a month (specification, 3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from shared.aggregates import inactivity, month
from shared.aggregates.base import PartialKey
from shared.aggregates.engagement_tiers import CHURNED, CRITERIA, TIERS
from shared.aggregates.tally import Tally, ratio, top
from shared.containers import container
from shared.periods import day_text, monthly
from shared.scores import growth_rate
from shared.units import MICROS, Day, Month, month_after, month_of
from shared.views.base import KeyPrefix, Rendered, Schedule, Stamp, States, ViewDefaults, stamp_fields
from shared.views.content import trend_word
from shared.views.fields import not_measured

NAME = "engagement_summary"

PATTERNS = 3
"""Number of personas, of times of day and of categories in a document."""

RETENTION = 0.75
"""The specification's retention_rate_threshold of power users. It is published; no tier requires it."""


class EngagementSummary(ViewDefaults):
    """One document per tier and month. The key is the month, ``202508``: tiers are shares of a whole."""

    name = NAME
    container = NAME
    schedule = Schedule.HOURLY
    """Nearly every change affects ten documents. If live, all instances would write them all the time."""
    skip_unchanged = True

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the month, and the next month, whose documents compare with it.

        Limit: inactive people change with the clock: see :meth:`keys_changed_by_time`.
        """
        if target.aggregate != month.NAME:
            return ()
        return (target.key, month_after(Month(target.key), 1))

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        """Return the month, the month before, and the inactivity of all years up to the month."""
        return (
            PartialKey(month.NAME, key),
            PartialKey(month.NAME, month_after(Month(key), -1)),
            *(PartialKey(inactivity.NAME, year) for year in inactivity.years(monthly(Month(key)).last)),
        )

    def tick(self, key: str, now: datetime) -> str:
        """Return the half day as of which inactive people are counted; at most the month's last day.

        The tick changes twice a day, because these documents expire after a day.
        """
        return min(f"{day_text(now)}{'am' if now.hour < 12 else 'pm'}", monthly(Month(key)).last)

    def keys_changed_by_time(self, since: datetime, now: datetime) -> Iterable[KeyPrefix]:
        """Return the current month, and the previous one, until it is published as of its end."""
        own = month_of(day_text(now))
        yield KeyPrefix(month.NAME, own)
        yield KeyPrefix(month.NAME, month_after(own, -1))

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        """Return the documents of all tiers of the month. There are none before the month begins."""
        own, earlier = states.of(month.NAME, key), states.of(month.NAME, month_after(Month(key), -1))
        today, before = Day(stamp.tick[:10]), monthly(Month(key)).before().last
        users = {tier: own.part(tier).total("users") for tier in TIERS}
        # The month after the current one is requested too, and a writer's clock may already be in it.
        has_begun = today > before or any(users.values())
        users_before = {tier: earlier.part(tier).total("users") for tier in TIERS}
        users[CHURNED] = _inactive(states, today)
        users_before[CHURNED] = _inactive(states, before)
        return [
            Rendered(
                f"{NAME}_{tier}_{key}",
                tier,
                _document(key, tier, own.part(tier), earlier.part(tier), users, users_before, stamp)
                if has_begun
                else None,
            )
            for tier in TIERS
        ]


def _inactive(states: States, day: Day) -> int:
    return inactivity.inactive_on(day, (states.of(inactivity.NAME, year) for year in inactivity.years(day)))


def _document(
    key: str,
    tier: str,
    state: Tally,
    earlier: Tally,
    users: dict[str, int],
    users_before: dict[str, int],
    stamp: Stamp,
) -> dict[str, Any]:
    criteria = CRITERIA.get(tier)
    return {
        "id": f"{NAME}_{tier}_{key}",
        "partition_key": tier,
        "engagement_tier": tier,
        "document_type": NAME,
        "tier_criteria": {
            "min_sessions_monthly": criteria.sessions if criteria else None,
            "min_engagement_score": criteria.engagement if criteria else None,
            "min_content_depth": criteria.depth if criteria else None,
            "retention_rate_threshold": RETENTION if criteria else None,
        },
        "user_count": users[tier],
        "percentage_of_total": ratio(users[tier], sum(users.values())),
        "avg_metrics": {
            "sessions_per_month": ratio(state.total("sessions"), state.total("users"), 2),
            "engagement_score": state.mean("engagement", MICROS),
            "session_duration_min": state.mean("session_seconds", 60, digits=2),
            "content_depth_score": state.mean("depth", MICROS),
            "satisfaction_rating": state.mean("rating", digits=2),
        },
        "common_patterns": {
            "preferred_personalities": top(state.counts("personas"), PATTERNS),
            "peak_usage_times": top(state.counts("daytimes"), PATTERNS),
            "content_preferences": top(state.counts("categories"), PATTERNS),
            "session_triggers": None,
        },
        "business_value": {
            **not_measured(NAME, "business_value"),
            "churn_risk": state.mean("churn_risk", MICROS),
        },
        "trend_analysis": {
            "growth_rate_monthly": growth_rate(recent=users[tier], earlier=users_before[tier]),
            "retention_trend": trend_word(
                _retention(state), _retention(earlier), words=("improving", "declining", "stable")
            ),
            "engagement_trend": trend_word(
                state.mean("engagement", MICROS),
                earlier.mean("engagement", MICROS),
                words=("increasing", "decreasing", "stable"),
            ),
            "satisfaction_trend": trend_word(
                state.mean("rating"), earlier.mean("rating"), words=("increasing", "decreasing", "stable")
            ),
        },
        "last_updated": stamp_fields(stamp)["calculated_at"],
        "data_freshness": "real_time",
        "sample_size": users[tier],
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }


def _retention(state: Tally) -> float | None:
    return ratio(state.total("returned"), state.total("users"))
