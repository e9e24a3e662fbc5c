"""``month``: people by UTC month: how many reach each tier, their averages, and the readers of each text."""

from __future__ import annotations

from shared.aggregates import person
from shared.aggregates.base import FOREVER, Aggregate, Contributions, PersonChange
from shared.aggregates.engagement_tiers import month_scores, tier_of
from shared.aggregates.person_month import by_day
from shared.aggregates.tally import CountSink, Tally, merged
from shared.scores import churn_risk
from shared.units import Day, Month, days_of_month, month_after, month_bounds, to_micro

NAME = "month"

DAYTIMES = ((5, 12, "morning"), (12, 17, "afternoon"), (17, 22, "evening"))
"""UTC hours of each part of the day. All other hours are night."""


class MonthAggregate(Aggregate):
    """One key per UTC month, ``202508``, with a part per tier."""

    name = NAME
    ttl = FOREVER

    def first_day(self, key: str) -> Day:
        return days_of_month(Month(key))[0]

    def derive(self, change: PersonChange, into: Contributions) -> None:
        """Count a person in their tier of each month, and as a reader of each text."""
        for month, (before, after) in change.months.items():
            counted = into.partial(NAME, month)
            _count_texts(before, counted, -1)
            _count_texts(after, counted, 1)
            counted.merge(_tier_counts(month, before, change.person.before), -1)
            counted.merge(_tier_counts(month, after, change.person.after), 1)


def _count_texts(month: Tally, into: Tally, sign: int) -> None:
    days: dict[str, int] = {}
    for day in month.parts():
        for text in month.counts(f"{day}:texts"):
            days[text] = days.get(text, 0) + 1
    for text, count in days.items():
        into.count("text_users", text, sign)
        if count > 1:
            into.count("text_users_again", text, sign)


def _tier_counts(month: Month, state: Tally, of_person: Tally) -> Tally:
    """Return the counts of a person's month for its tier; none if the person refuses, or was not active."""
    membership = Tally()
    days = by_day(state)
    scores = month_scores(month, days)
    if scores is None or person.refused(of_person):
        return membership
    tier = membership.part_writer(tier_of(scores, is_first_month=person.first_month(of_person) == month))
    whole = merged(days.values())
    tier.add("users", 1)
    tier.add("returned", int(month_after(month, -1) in person.active_months(of_person)))
    tier.add("interactions", whole.total("interactions"))
    tier.add("sessions", scores.sessions)
    tier.sample("engagement", to_micro(scores.engagement))
    tier.sample("depth", None if scores.depth is None else to_micro(scores.depth))
    for name in ("session_seconds", "rating"):
        tier.add(name, whole.total(name))
        tier.add(f"{name}#", whole.total(f"{name}#"))
    tier.sample("churn_risk", _risk(month, [d for d, day in days.items() if day.total("interactions")]))
    _count_patterns(whole, tier)
    return membership


def _count_patterns(whole: Tally, tier: CountSink) -> None:
    for persona, count in whole.counts("personas").items():
        tier.count("personas", persona, count)
    for category, count in whole.counts("categories").items():
        tier.count("categories", category, count)
    for hour, count in whole.counts("hours").items():
        tier.count("daytimes", daytime(hour), count)


def _risk(month: Month, active: list[str]) -> int | None:
    first, last = int(active[0]), int(active[-1])
    risk = churn_risk(
        days_inactive=month_bounds(month)[1].day - last, days_active=len(active), days_spanned=last - first
    )
    return None if risk is None else to_micro(risk)


def daytime(hour: str) -> str:
    """Return the part of the day that a UTC hour, ``"14"``, lies in."""
    return next((name for start, end, name in DAYTIMES if start <= int(hour) < end), "night")
