"""``user_analytics``: the figures of one person in a day, week, month or quarter (specification, 2.1)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

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
    local_hours,
    month_key,
    split_key,
    summary_of,
)
from shared.aggregates.person_record import Preferences
from shared.aggregates.tally import Tally, merged, ratio
from shared.containers import container
from shared.periods import Kind, Period, day_start, day_text, parse_period, period_of
from shared.scores import engagement
from shared.units import Day, Month, day_after, days_between, iso, month_of
from shared.views import person_blocks as blocks
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
from shared.views.reference import Reference

CONTAINER = "user_analytics"

LIFETIME = timedelta(seconds=container(CONTAINER).default_ttl or 0)
"""A document that was not written for this time has expired."""


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
    facts: Mapping[str, int] = {"user_interactions": 4, "user_sessions": 2}
    uses_reference = True
    periods = 1

    def __init__(self, kind: Kind, schedule: Schedule) -> None:
        self.kind = kind
        self.schedule = schedule
        self.skip_unchanged = kind != "monthly"
        self.name = CONTAINER if kind == "monthly" else f"{CONTAINER}_{kind}"
        self.example = f"{period_of('monthly' if kind == 'daily' else kind, Day('2025-08-05')).label}|USER_ID"

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
        parts, met, rendered = _parts(months), set[str](), list[Rendered]()
        met.update(*(part.counts("passages") for day, part in parts.items() if day < whole.first))
        for period in periods:
            days = {day: parts[day] for day in period.days() if day in parts}
            # A day without data needs no decision: if its document exists, the set contains it. A longer
            # period without data is rendered without a body, so that its document is deleted.
            if days or self.kind != "daily":
                exists = not record.refused and bool(days)
                body = (
                    _document(user_id, period, days, met, tier, record.preferences, states.reference, stamp)
                    if exists
                    else None
                )
                rendered.append(Rendered(document_id(user_id, period), user_id, body))
                met.update(*(part.counts("passages") for part in days.values()))
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
    user_id: str,
    period: Period,
    days: Mapping[Day, Tally],
    met: Collection[str],
    tier: str | None,
    prefers: Preferences,
    reference: Reference,
    stamp: Stamp,
) -> dict[str, Any]:
    """Return the document of a period.

    Parameters
    ----------
    days
        The person's state by day of the period.
    met
        The passages that the person met before the period, since the first of its month.
    tier
        The person's tier of the period, unless they churned.
    """
    state = merged(days.values())
    hours = sum((local_hours(part, day, prefers.zone) for day, part in days.items()), Counter[int]())
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
        "user_profile": blocks.profile(state, CHURNED if _is_churned(activity) else tier, score),
        "session_metrics": blocks.sessions(state, active, hours),
        "interaction_metrics": blocks.interactions(state),
        "content_metrics": blocks.content(state, days, met, reference),
        "behavioral_insights": blocks.behavior(
            [days[day] for day in active], hours, ratio(len(active), period.days_passed(today)), prefers
        ),
        "predictions": blocks.predictions(state, activity, score, prefers),
        "cost": blocks.cost(state),
        "quality_indicators": blocks.quality(state),
        **stamp_fields(stamp),
        # The day after, while time alone changes the scores. A document of one day does not change with time.
        "next_calculation_due": day_start(day_after(Day(stamp.tick), 1))
        if period.kind != "daily" and stamp.tick < period.last
        else None,
        "_ttl": container(CONTAINER).default_ttl,
    }


def _tier(months: Mapping[Month, Tally], first: Month | None) -> str | None:
    """Return the tier of the latest of some months in which the person was active.

    The first month is in another document than the months. If that was read before the transaction that
    counted a month, it knows nothing yet, or only later months: the month is the first one.
    """
    for month, state in reversed(list(months.items())):
        summary = summary_of(state)
        if summary is not None:
            days = (day.total("interactions") for day in state.parts().values())
            scores = month_scores(month, [interactions for interactions in days if interactions], summary)
            return tier_of(scores, is_first_month=first is None or month <= first)
    return None


def _activity(active: Sequence[Day], today: Day) -> blocks.Activity:
    if not active:
        return {"days_inactive": None, "days_active": None, "days_spanned": None}
    return {
        "days_inactive": max(0, days_between(active[-1], today)),
        "days_active": len(active),
        "days_spanned": days_between(active[0], active[-1]),
    }


def _is_churned(activity: blocks.Activity) -> bool:
    return activity["days_inactive"] is not None and activity["days_inactive"] >= CHURNED_AFTER_DAYS
