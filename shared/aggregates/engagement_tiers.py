"""Engagement tiers: the criteria for a casual, engaged or power user of a month."""

from __future__ import annotations

from dataclasses import dataclass

from shared.aggregates.tally import Tally, merged
from shared.scores import content_depth, engagement
from shared.units import MICROS, Month, month_bounds

NEW = "new"
CASUAL = "casual"
ENGAGED = "engaged"
POWER_USER = "power_user"
CHURNED = "churned"

TIERS = (NEW, CASUAL, ENGAGED, POWER_USER, CHURNED)
"""The specification's tiers."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Minimum scores of a person's month for a tier."""

    sessions: int
    engagement: float
    depth: float


CRITERIA = {
    POWER_USER: Criteria(sessions=20, engagement=0.80, depth=0.70),
    ENGAGED: Criteria(sessions=8, engagement=0.60, depth=0.0),
    CASUAL: Criteria(sessions=0, engagement=0.0, depth=0.0),
}
"""By tier, the highest first. The specification defines the criteria of power users. Engaged users need two
sessions a week and most of the engagement score. A person's first month is always in the tier ``new``."""


@dataclass(frozen=True, slots=True)
class MonthScores:
    """The scores that decide a tier. They cover a whole month, as of the person's last active day in it."""

    sessions: int
    engagement: float
    depth: float | None


def month_scores(month: Month, days: dict[str, Tally]) -> MonthScores | None:
    """Return the scores of a person's month, from its parts by day; None if the month has no active day.

    The scores do not depend on the time of the computation: inactivity after the last active day does not
    count, and the month always has its full length.
    """
    state = merged(days.values())
    interactions = state.total("interactions")
    if not interactions:
        return None
    score = engagement(
        days_active=sum(1 for day in days.values() if day.total("interactions")),
        interactions=interactions,
        days_inactive=0,
        period_days=month_bounds(month)[1].day,
    )
    assert score is not None  # noqa: S101  every input is known
    return MonthScores(len(state.counts("sessions")), score, depth_of(state))


def depth_of(state: Tally) -> float | None:
    """Return the content depth score of a person, from the sum of any of their days."""
    passages = state.counts("passages")
    return content_depth(
        interactions=state.total("interactions"),
        citations=sum(passages.values()),
        passages=len(passages),
        texts=len(state.counts("texts")),
        complexity=state.mean("complexity", MICROS),
    )


def tier_of(scores: MonthScores, *, is_first_month: bool) -> str:
    """Return the tier of a month in which the person was active."""
    if is_first_month:
        return NEW
    for tier, least in CRITERIA.items():
        if (
            scores.sessions >= least.sessions
            and scores.engagement >= least.engagement
            and (scores.depth or 0) >= least.depth
        ):
            return tier
    return CASUAL
