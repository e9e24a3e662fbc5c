"""The blocks of a document of ``user_analytics``: pure functions of a person's state in a period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from shared.aggregates.person_month import daytime, depth_of
from shared.aggregates.person_record import Preferences
from shared.aggregates.tally import Tally, merged, ratio, top
from shared.scores import (
    calculation_confidence,
    churn_risk,
    data_completeness,
    next_session_probability,
    recommendation_confidence,
    satisfaction,
    upgrade_propensity,
)
from shared.units import MICROS, Day, days_between
from shared.views.content import trend_word
from shared.views.fields import not_measured
from shared.views.reference import Reference

INTERESTS = 5
"""Number of categories, and of personas, in a profile."""

TYPES = 3
"""Number of content types in a document: those cited most."""

TEXTS = 100
"""Maximum number of texts in a document: those cited most."""

PAID = frozenset({"premium", "enterprise"})
"""Subscriptions of people who pay already: nothing predicts whether they upgrade."""

SIGNIFICANT_SAMPLE = 30
"""Interactions from which a mean is roughly normally distributed (the usual rule of thumb)."""

EXPERTISE = ((1 / 3, "beginner"), (2 / 3, "intermediate"), (1.0, "advanced"))
"""Words for thirds of the depth score, each with the upper bound of its third."""

HABITS = ((0.1, "occasional"), (0.5, "consistent_seeker"), (1.0, "intensive_learner"))
"""Words for the share of days with activity among the days passed, each with its upper bound."""


def profile(state: Tally, tier: str | None, score: float | None) -> dict[str, Any]:
    return {
        "user_tier": tier,
        "engagement_score": score,
        "expertise_level": _word(EXPERTISE, depth_of(state)),
        "primary_interests": top(state.counts("categories"), INTERESTS),
        "personality_affinity": top(state.counts("personas"), INTERESTS),
    }


class Activity(TypedDict):
    days_inactive: int | None
    days_active: int | None
    days_spanned: int | None


def sessions(state: Tally, active: Sequence[Day], hours: Mapping[int, int]) -> dict[str, Any]:
    sessions = len(state.counts("sessions"))
    outcomes, lengths = state.counts("outcomes"), state.counts("session_lengths")
    spanned = days_between(active[0], active[-1]) if active else 0
    return {
        "total_sessions": sessions,
        "avg_session_duration_min": state.mean("session_seconds", 60, digits=2),
        "session_completion_rate": ratio(outcomes.get("completed", 0), sum(outcomes.values())),
        "peak_usage_hour": min(hours, key=lambda hour: (-hours[hour], hour), default=None),
        "preferred_session_length": top(lengths, 1)[0] if lengths else None,
        "session_frequency_days": round(spanned / (sessions - 1), 2) if sessions > 1 else None,
        "session_satisfaction_avg": state.mean("session_rating", MICROS, digits=2),
        "session_quality_avg": state.mean("session_quality", MICROS),
        "avg_time_on_guidance_seconds": state.mean("attention", digits=1),
    }


def interactions(state: Tally) -> dict[str, Any]:
    interactions = state.total("interactions")
    return {
        "total_interactions": interactions,
        "avg_interactions_per_session": ratio(state.total("in_session"), len(state.counts("sessions")), 2),
        "query_complexity_avg": state.mean("complexity", MICROS),
        "response_satisfaction_avg": state.mean("rating", digits=2),
        "citation_engagement_rate": state.mean("followed"),
    }


def content(
    state: Tally, days: Mapping[Day, Tally], met: Collection[str], reference: Reference
) -> dict[str, Any]:
    discovery = _discovery(days, met)
    return {
        "foundational_texts_accessed": sorted(top(state.counts("texts"), TEXTS)),
        "content_depth_score": depth_of(state),
        "favorite_content_types": _favorite_types(state.counts("passages"), reference),
        "content_discovery_rate": discovery,
        "content_retention_rate": None if discovery is None else round(1 - discovery, 4),
    }


def _discovery(days: Mapping[Day, Tally], met: Collection[str]) -> float | None:
    """Return the share of the passages of each day that the person had not met on an earlier day."""
    known, new, passages = set(met), 0, 0
    for day in sorted(days):
        of_day = days[day].counts("passages").keys()
        passages += len(of_day)
        new += len(of_day - known)
        known |= of_day
    return ratio(new, passages)


def behavior(
    days: Sequence[Tally], hours: Mapping[int, int], share_of_days: float | None, prefers: Preferences
) -> dict[str, Any]:
    """Return ``behavioral_insights``, of the states of the active days in order."""
    return {
        "usage_pattern": _word(HABITS, share_of_days),
        "peak_engagement_time": _peak_daytime(hours),
        "response_preferences": _response_preferences(prefers),
        "learning_progression": _progression(days),
        **not_measured("user_analytics", "behavioral_insights"),
    }


def _favorite_types(passages: Mapping[str, int], reference: Reference) -> list[str] | None:
    """Return the categories of the cited passages, most cited first; None if none has a category."""
    found: Counter[str] = Counter()
    for hashed, citations in passages.items():
        category = reference.hashed_passage(hashed).category
        if category is not None:
            found[category] += citations
    return top(found, TYPES) or None


def _response_preferences(prefers: Preferences) -> str | None:
    """Return how the person wants answers, ``detailed_with_citations``."""
    style = prefers.citation_style
    if style is None:
        return None
    return "without_citations" if style == "none" else f"{style}_with_citations"


def _progression(days: Sequence[Tally]) -> str | None:
    """Compare the complexity of the questions in the later half of the active days with the earlier half."""
    half = len(days) // 2
    earlier, later = (merged(part).mean("complexity", MICROS) for part in (days[:half], days[half:]))
    return trend_word(later, earlier, words=("advancing", "receding", "steady"))


def predictions(
    state: Tally, activity: Activity, score: float | None, prefers: Preferences
) -> dict[str, Any]:
    risk, pays = churn_risk(**activity), prefers.subscription in PAID
    categories = state.counts("categories")
    return {
        "churn_risk_score": risk,
        "lifetime_value_estimate": None,
        "next_session_probability": next_session_probability(**activity),
        "upgrade_propensity": None
        if pays
        else upgrade_propensity(
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


def cost(state: Tally) -> dict[str, Any]:
    priced, unmeasured = state.samples("cost"), state.total("unmeasured")
    return {
        "nano_usd": state.total("cost") if priced else None,
        "inexact_interactions": state.total("inexact"),
        "unpriced_interactions": state.total("interactions") - priced - unmeasured,
        "unmeasured_interactions": unmeasured,
    }


def quality(state: Tally) -> dict[str, Any]:
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


def _peak_daytime(hours: Mapping[int, int]) -> str | None:
    parts: Counter[str] = Counter()
    for hour, interactions in hours.items():
        parts[daytime(hour)] += interactions
    return top(parts, 1)[0] if parts else None


def _word(scale: Iterable[tuple[float, str]], value: float | None) -> str | None:
    return None if value is None else next(word for most, word in scale if value <= most)
