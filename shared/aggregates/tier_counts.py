"""Count people by engagement tier, month by month, and by the days on which they churn. Pure.

Every person belongs to at most one tier of a month as of a day: to the churned ones after 30 days without
activity, otherwise to the tier that they reach in the month. People who refuse user-level analytics belong to
none.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from shared.aggregates.churn import ChurnCounts
from shared.aggregates.engagement_tiers import CHURNED, is_churned, tier_in
from shared.aggregates.person import active_months, interactions_by_day
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally, top
from shared.periods import monthly
from shared.scores import churn_risk, engagement
from shared.units import Day, Month, days_between, days_of_month, month_after, month_of, to_micro

STORED_FAVOURITES = 250
"""Personas, and categories, that stored counts have of a tier: 1 MB in the worst case, of 17 months."""


@dataclass(frozen=True, slots=True)
class TierKey:
    """A month, and the day as of which people are counted: at most its last day."""

    month: Month
    as_of: Day

    @classmethod
    def at(cls, month: Month, today: Day) -> TierKey:
        """Return the key of a month as of a day, or as of the month's end if that is earlier."""
        return cls(month, min(today, monthly(month).last))


class TierCounts:
    """Counts people by month; each month is a tally with a part per tier.

    Parameters
    ----------
    today
        The day as of which people are counted.
    since
        The first month to count, None for all months in which anybody was active.
    """

    def __init__(self, today: Day, since: Month | None = None) -> None:
        self._today = today
        self._since = since
        self._counts: dict[Month, Tally] = {}
        self.churn = ChurnCounts(today, None if since is None else days_of_month(month_after(since, 1))[0])
        """All people, those who refuse among them, by the days on which they churn. A month counts the people
        who were here in the month before too, so the days begin a month later."""
        self.months: set[Month] = set()
        """The months in which anybody was active who does not refuse."""

    def of(self, month: Month) -> Tally:
        """Return the counts of a month, by tier."""
        return self._counts.get(month, Tally())

    def encode(self) -> dict[str, Any]:
        """Return the form in which counts are stored until everybody is counted.

        Of favourites it has the :data:`STORED_FAVOURITES` most frequent of each tier, so that it is bounded.
        """
        return {
            "counts": {month: _with_fewer_favourites(counts) for month, counts in self._counts.items()},
            "months": sorted(self.months),
            "churn": self.churn.encode(),
        }

    def add_stored(self, stored: Mapping[str, Any]) -> None:
        """Add the counts that :meth:`encode` returned, of other people and as of the same day."""
        self.months.update(stored["months"])
        self.churn.add_stored(stored["churn"])
        for month, counts in stored["counts"].items():
            self._counts.setdefault(month, Tally()).merge(Tally.decode(counts))

    def add(self, person: Tally, record: PersonRecord, *, refused: bool = False) -> None:
        """Count one person in each month since their first one, unless they refuse, and by days."""
        active = active_months(person)
        days = interactions_by_day(person)
        self.churn.add(days)
        if refused or not active:
            return
        self.months |= active
        # Writers' clocks may be ahead, so that people are active in the next month already.
        following = month_after(month_of(self._today), 1)
        month, last = max(min(active), self._since or min(active)), max(following, *active)
        while month <= last:
            counts = self._counts.setdefault(month, Tally())
            _count(TierKey.at(month, self._today), days, person, record, counts)
            month = month_after(month, 1)


def _with_fewer_favourites(counts: Tally) -> dict[str, Any]:
    stored = counts.encode()
    for part in stored.get("parts", {}).values():
        groups = part.get("counts", {})
        part["counts"] = {
            name: {each: group[each] for each in top(group, STORED_FAVOURITES)}
            for name, group in groups.items()
        }
    return stored


def _count(key: TierKey, days: Mapping[Day, int], person: Tally, record: PersonRecord, counts: Tally) -> None:
    period = monthly(key.month)
    # A writer's clock may be ahead: a day on which the person was active has begun.
    own = [day for day in days if period.first <= day <= period.last]
    as_of = max([key.as_of, *own])
    last = max((day for day in days if day <= as_of), default=None)
    if last is None:
        return
    month = month_of(last)
    tier = CHURNED if is_churned(last, as_of) else tier_in(key.month, person, record)
    if tier is None:
        return
    active = [day for day in days if month_of(day) == month and day <= as_of]
    _count_member(
        counts.part(tier),
        record,
        month,
        {
            "interactions": sum(days[day] for day in active),
            "days_active": len(active),
            "days_inactive": days_between(last, as_of),
            "days_spanned": days_between(active[0], last),
            "period_days": monthly(month).days_passed(as_of),
        },
    )
    counts.part(tier).add("returned", int(month_after(key.month, -1) in active_months(person)))


def _count_member(tier: Tally, record: PersonRecord, month: Month, activity: Mapping[str, int]) -> None:
    """Count a person with the figures of the month in which they were active last."""
    summary = record.months[month]
    tier.add("users", 1)
    tier.add("sessions", summary.sessions)
    score = engagement(
        days_active=activity["days_active"],
        interactions=activity["interactions"],
        days_inactive=activity["days_inactive"],
        period_days=activity["period_days"],
    )
    risk = churn_risk(
        days_inactive=activity["days_inactive"],
        days_active=activity["days_active"],
        days_spanned=activity["days_spanned"],
    )
    tier.sample("engagement", None if score is None else to_micro(score))
    tier.sample("churn_risk", None if risk is None else to_micro(risk))
    tier.sample("depth", summary.depth)
    tier.merge_mean("session_seconds", summary.session_seconds)
    tier.merge_mean("rating", summary.rating)
    for name, favourite in (
        ("personas", summary.persona), ("categories", summary.category), ("daytimes", summary.daytime)
    ):  # fmt: skip
        if favourite is not None:
            tier.count(name, favourite)


def months_to_publish(
    active: AbstractSet[Month], changed: AbstractSet[Month], today: Day, *, everything: bool = False
) -> list[Month]:
    """Return the months whose documents a change may concern, in order.

    A month with active people has documents, and so has the month after it, which compares with it, once it
    has begun. A change of people's state in a month concerns that month, even if nobody is left in it, and
    all later ones: people who were active in it may count as churned until they return.

    Parameters
    ----------
    active
        The months in which anybody was active.
    changed
        The months in which the state of anybody has changed. Without any, time alone has passed: then only
        the current month and the one before it are concerned.
    everything
        Whether all months are concerned, as after a change of consent.
    """
    current, known = month_of(today), active | changed
    first = min(known, default=current) if everything else min((month_after(current, -1), *changed))
    following = {month for each in known if (month := month_after(each, 1)) <= current}
    return sorted(month for month in known | following if month >= first)
