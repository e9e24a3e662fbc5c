"""Engagement tiers: the criteria for a casual, engaged or power user of a month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.aggregates.person import active_months
from shared.aggregates.person_record import MonthSummary, PersonRecord
from shared.aggregates.tally import Tally
from shared.scores import engagement
from shared.units import MICROS, Day, Month, days_between, month_bounds, month_of

NEW = "new"
CASUAL = "casual"
ENGAGED = "engaged"
POWER_USER = "power_user"
CHURNED = "churned"

CHURNED_AFTER_DAYS = 30
"""Days of inactivity after which a user counts as churned, until the user returns."""

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


def month_scores(month: Month, interactions: Sequence[int], summary: MonthSummary) -> MonthScores:
    """Return the scores of a month in which a person was active.

    The scores do not depend on the time of the computation: inactivity after the last active day does not
    count, and the month always has its full length.

    Parameters
    ----------
    interactions
        The person's interactions on each active day of the month; at least one.
    """
    score = engagement(
        days_active=len(interactions),
        interactions=sum(interactions),
        days_inactive=0,
        period_days=month_bounds(month)[1].day,
    )
    assert score is not None  # noqa: S101  every input is known
    depth = None if summary.depth is None else summary.depth / MICROS
    return MonthScores(summary.sessions, score, depth)


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


def tier_in(month: Month, person: Tally, record: PersonRecord) -> str | None:
    """Return the tier of a person in a month, None if the person was not active in it."""
    summary = record.months.get(month)
    if summary is None:
        return None
    interactions = list(person.parts()[month].counts("days").values())
    return tier_of(
        month_scores(month, interactions, summary), is_first_month=month == first_month(person, record)
    )


def first_month(person: Tally, record: PersonRecord) -> Month | None:
    """Return the first month in which a person was active, in this generation or in an earlier one."""
    known = active_months(person)
    if record.first_known is not None:
        known.add(month_of(record.first_known))
    return min(known, default=None)


def is_churned(last_active: Day, as_of: Day) -> bool:
    """Return whether a person who was active last on a day counts as churned on a later one."""
    return days_between(last_active, as_of) >= CHURNED_AFTER_DAYS
