"""``user_analytics``: the figures of one person in a day, week, month or quarter (specification, 2.1)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

from shared.aggregates import person, person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.engagement_tiers import (
    CHURNED,
    CHURNED_AFTER_DAYS,
    first_month,
    month_scores,
    tier_of,
)
from shared.aggregates.person_month import (
    by_day,
    daytime,
    depth_of,
    month_key,
    split_key,
    summary_of,
)
from shared.aggregates.tally import Tally, merged, ratio, top
from shared.containers import container
from shared.periods import Kind, Period, day_start, day_text, parse_period, period_of
from shared.scores import (
    calculation_confidence,
    churn_risk,
    data_completeness,
    engagement,
    next_session_probability,
    recommendation_confidence,
    satisfaction,
    upgrade_propensity,
)
from shared.units import MICROS, Day, Month, day_after, days_between, iso, month_of
from shared.views.base import (
    DocumentSet,
    KeyPrefix,
    Rendered,
    Schedule,
    Stamp,
    States,
    ViewDefaults,
    stamp_fields,
)
from shared.views.fields import not_measured

CONTAINER = "user_analytics"

INTERESTS = 5
"""Number of categories, and of personas, in a profile."""

TEXTS = 100
"""Maximum number of texts in a document: those cited most."""

SIGNIFICANT_SAMPLE = 30
"""Interactions from which a mean is roughly normally distributed (the usual rule of thumb)."""

EXPERTISE = ((1 / 3, "beginner"), (2 / 3, "intermediate"), (1.0, "advanced"))
"""Words for thirds of the depth score, each with the upper bound of its third."""

LIFETIME = timedelta(seconds=container(CONTAINER).default_ttl or 0)
"""A document that was not written for this time has expired."""

HABITS = ((0.1, "occasional"), (0.5, "consistent_seeker"), (1.0, "intensive_learner"))
"""Words for the share of days with activity among the days passed, each with its upper bound."""


class UserAnalytics(ViewDefaults):
    """One document per person and period of a kind.

    The key is the period and the user id, ``202508|<user id>``. Days have the key of their month, because all
    days of a month are published together.

    Parameters
    ----------
    schedule
        Months are published with every change. Days, weeks and quarters contain the same figures, and each
        would cost as much again. Days are therefore published within the hour, weeks and quarters within half
        a day.
    """

    container = CONTAINER
    sources = frozenset({"user_interactions", "user_sessions"})
    periods = 1

    def __init__(self, kind: Kind, schedule: Schedule) -> None:
        self.kind = kind
        self.schedule = schedule
        self.skip_unchanged = kind != "monthly"
        self.name = CONTAINER if kind == "monthly" else f"{CONTAINER}_{kind}"

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the periods of this kind that share a day with a changed month of the person."""
        if target.aggregate != person_month.NAME:
            return ()
        month, user_id = split_key(target.key)
        if self.kind in ("daily", "monthly"):
            return (target.key,)
        days = parse_period(month).days()
        labels = dict.fromkeys(period_of(self.kind, day).label for day in days)
        return tuple(f"{label}|{user_id}" for label in labels)

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        """Return the person and their months."""
        label, user_id = split_key(key)
        months = parse_period(label).months()
        return (
            PartialKey(person.NAME, user_id),
            *(PartialKey(person_month.NAME, month_key(month, user_id)) for month in months),
        )

    def document_set(self, key: str) -> DocumentSet | None:
        """Return the documents of all days of a month, or the one document of a week or quarter.

        A day may have lost all its interactions. One query per person returns every document that may have to
        be written, and most of them do not have to be.
        """
        if self.kind == "monthly":
            return None
        label, user_id = split_key(key)
        whole = parse_period(label)
        first, last = (whole.first, whole.last) if self.kind == "daily" else (whole.first, whole.first)
        return DocumentSet(user_id, self.kind, day_start(first), day_start(last))

    def tick(self, key: str, now: datetime) -> str:
        """Return the day as of which the scores are calculated: today, or the last day of a past period."""
        return min(day_text(now), parse_period(split_key(key)[0]).last)

    def keys_changed_by_time(self, since: datetime, now: datetime) -> Iterable[KeyPrefix]:
        """Return the months of all periods that contain a day from the first time to the second.

        The scores of an inactive person decrease until the end of the period. Limit: the document of a single
        day does not change with time.
        """
        first, today = day_text(max(since, now - LIFETIME)), day_text(now)
        if self.kind == "daily" or first == today:
            return
        days = (day_after(first, n) for n in range(days_between(first, today) + 1))
        months = {month for day in days for month in period_of(self.kind, day).months()}
        for month in sorted(months):
            if month <= month_of(today):
                yield KeyPrefix(person_month.NAME, f"{month}|")

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        """Return one document of the person per period: for days, the documents of a month."""
        label, user_id = split_key(key)
        whole = parse_period(label)
        owner, record = states.of(person.NAME, user_id), states.record_of(user_id)
        months = {month: states.of(person_month.NAME, month_key(month, user_id)) for month in whole.months()}
        tier = _tier(months, first_month(owner, record))
        periods = [period_of("daily", day) for day in whole.days()] if self.kind == "daily" else [whole]
        parts = _parts(months)
        rendered = []
        for period in periods:
            days = {day: parts[day] for day in period.days() if day in parts}
            # A day without data needs no decision: if its document exists, the set contains it. A longer
            # period without data is rendered without a body, so that its document is deleted.
            if days or self.kind != "daily":
                exists = not record.refused and bool(days)
                body = _document(user_id, period, days, tier, stamp) if exists else None
                rendered.append(Rendered(document_id(user_id, period), user_id, body))
        return rendered


def document_id(user_id: str, period: Period) -> str:
    """Return the specification's id: the start of the user id and the period.

    For example ``user_analytics_e45d45fe_202508``. It is unique, because each person has their own logical
    partition.
    """
    return f"{CONTAINER}_{re.sub(r'[^A-Za-z0-9_.-]', '_', user_id[:8])}_{period.label}"


def _parts(months: Mapping[Month, Tally]) -> dict[Day, Tally]:
    return {
        Day(f"{month[:4]}-{month[4:]}-{number}"): part
        for month, state in months.items()
        for number, part in by_day(state).items()
    }


def _document(
    user_id: str, period: Period, days: Mapping[Day, Tally], tier: str | None, stamp: Stamp
) -> dict[str, Any]:
    state = merged(days.values())
    active = [day for day, part in days.items() if part.total("interactions")]
    # A writer's clock may be ahead: a day on which the person was active has begun.
    today = min(max([Day(stamp.tick), *active]), period.last)
    activity = _activity(active, today)
    score = engagement(
        days_active=len(active),
        interactions=state.total("interactions"),
        days_inactive=activity["days_inactive"],
        period_days=period.days_passed(today),
    )
    return {
        "id": document_id(user_id, period),
        "partition_key": user_id,
        "user_id": user_id,
        "document_type": CONTAINER,
        **period.fields(),
        "data_freshness": iso(stamp.as_of),
        "user_profile": _profile(state, CHURNED if _is_churned(activity) else tier, score),
        "session_metrics": _sessions(state, active),
        "interaction_metrics": _interactions(state),
        "content_metrics": _content(state),
        "behavioral_insights": _behavior(state, ratio(len(active), period.days_passed(today))),
        "predictions": _predictions(state, activity, score),
        "cost": _cost(state),
        "quality_indicators": _quality(state),
        **stamp_fields(stamp),
        "next_calculation_due": None,
        "_ttl": container(CONTAINER).default_ttl,
    }


def _profile(state: Tally, tier: str | None, score: float | None) -> dict[str, Any]:
    return {
        "user_tier": tier,
        "engagement_score": score,
        "expertise_level": _word(EXPERTISE, depth_of(state)),
        "primary_interests": top(state.counts("categories"), INTERESTS),
        "personality_affinity": top(state.counts("personas"), INTERESTS),
    }


def _tier(months: Mapping[Month, Tally], first: Month | None) -> str | None:
    """Return the tier of the latest of some months in which the person was active."""
    for month, state in reversed(list(months.items())):
        summary = summary_of(state)
        if summary is not None:
            days = (day.total("interactions") for day in state.parts().values())
            scores = month_scores(month, [interactions for interactions in days if interactions], summary)
            return tier_of(scores, is_first_month=month == first)
    return None


class _Activity(TypedDict):
    days_inactive: int | None
    days_active: int | None
    days_spanned: int | None


def _activity(active: Sequence[Day], today: Day) -> _Activity:
    if not active:
        return {"days_inactive": None, "days_active": None, "days_spanned": None}
    return {
        "days_inactive": max(0, days_between(active[-1], today)),
        "days_active": len(active),
        "days_spanned": days_between(active[0], active[-1]),
    }


def _is_churned(activity: _Activity) -> bool:
    return activity["days_inactive"] is not None and activity["days_inactive"] >= CHURNED_AFTER_DAYS


def _sessions(state: Tally, active: Sequence[Day]) -> dict[str, Any]:
    sessions, hours = len(state.counts("sessions")), state.counts("hours")
    outcomes, lengths = state.counts("outcomes"), state.counts("session_lengths")
    spanned = days_between(active[0], active[-1]) if active else 0
    return {
        "total_sessions": sessions,
        "avg_session_duration_min": state.mean("session_seconds", 60, digits=2),
        "session_completion_rate": ratio(outcomes.get("completed", 0), sum(outcomes.values())),
        "peak_usage_hour": int(top(hours, 1)[0]) if hours else None,
        "preferred_session_length": top(lengths, 1)[0] if lengths else None,
        "session_frequency_days": round(spanned / (sessions - 1), 2) if sessions > 1 else None,
    }


def _interactions(state: Tally) -> dict[str, Any]:
    interactions = state.total("interactions")
    return {
        "total_interactions": interactions,
        "avg_interactions_per_session": ratio(state.total("in_session"), len(state.counts("sessions")), 2),
        "query_complexity_avg": state.mean("complexity", MICROS),
        "response_satisfaction_avg": state.mean("rating", digits=2),
        "citation_engagement_rate": ratio(state.total("cited"), interactions),
    }


def _content(state: Tally) -> dict[str, Any]:
    passages = state.counts("passages")
    discovery = ratio(len(passages), sum(passages.values()))
    return {
        "foundational_texts_accessed": sorted(top(state.counts("texts"), TEXTS)),
        "content_depth_score": depth_of(state),
        "favorite_content_types": None,
        "content_discovery_rate": discovery,
        "content_retention_rate": None if discovery is None else round(1 - discovery, 4),
    }


def _behavior(state: Tally, share_of_days: float | None) -> dict[str, Any]:
    return {
        "usage_pattern": _word(HABITS, share_of_days),
        "peak_engagement_time": _peak_daytime(state.counts("hours")),
        **not_measured("user_analytics", "behavioral_insights"),
    }


def _predictions(state: Tally, activity: _Activity, score: float | None) -> dict[str, Any]:
    risk = churn_risk(**activity)
    categories = state.counts("categories")
    return {
        "churn_risk_score": risk,
        "lifetime_value_estimate": None,
        "next_session_probability": next_session_probability(**activity),
        "upgrade_propensity": upgrade_propensity(
            engagement_score=score,
            churn_risk_score=risk,
            satisfaction_score=satisfaction(
                rating_sum=state.total("rating"), ratings=state.samples("rating")
            ),
        ),
        "content_recommendation_confidence": recommendation_confidence(
            in_interests=state.sum_over("categories", top(categories, INTERESTS)),
            interactions=sum(categories.values()),
        ),
    }


def _cost(state: Tally) -> dict[str, Any]:
    priced, unmeasured = state.samples("cost"), state.total("unmeasured")
    return {
        "nano_usd": state.total("cost") if priced else None,
        "unpriced_interactions": state.total("interactions") - priced - unmeasured,
        "unmeasured_interactions": unmeasured,
    }


def _quality(state: Tally) -> dict[str, Any]:
    interactions = state.total("interactions")
    return {
        "data_completeness": _completeness(state),
        "calculation_confidence": calculation_confidence(sample_size=interactions),
        "sample_size": interactions,
        "statistical_significance": interactions >= SIGNIFICANT_SAMPLE,
    }


def _completeness(state: Tally) -> float | None:
    """Return the share of the document's inputs that the interactions contain.

    The inputs are the tokens, the category, the complexity and the rating of each interaction.
    """
    interactions = state.total("interactions")
    given = (
        interactions
        - state.total("unmeasured")
        + sum(state.counts("categories").values())
        + state.samples("complexity")
        + state.samples("rating")
    )
    return data_completeness(given=given, expected=4 * interactions)


def _peak_daytime(hours: Mapping[str, int]) -> str | None:
    parts: Counter[str] = Counter()
    for hour, interactions in hours.items():
        parts[daytime(hour)] += interactions
    return top(parts, 1)[0] if parts else None


def _word(scale: Iterable[tuple[float, str]], value: float | None) -> str | None:
    return None if value is None else next(word for most, word in scale if value <= most)
