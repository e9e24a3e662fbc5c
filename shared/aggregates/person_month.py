"""``person_month``: what one person did in one month, day by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.aggregates.base import Aggregate, Contributions, hash_key
from shared.aggregates.person_record import MonthSummary
from shared.aggregates.tally import Tally, merged, top
from shared.facts import USER_INTERACTIONS, Fact, InteractionFact, SessionFact
from shared.scores import content_depth
from shared.units import KILOBYTE, MICROS, Day, Month, days_of_month, to_micro

NAME = "person_month"

NAMES = "names"
"""Group of a month that counts personas, models and texts."""

COMPLEXITY = {"low": 0.0, "medium": 0.5, "high": 1.0}
"""A question's complexity, from simple (0) to hard (1). Any other word counts as not measured."""

SHORT_SESSION, LONG_SESSION = 5 * 60, 15 * 60
"""Bounds in seconds, from the specification: a session below the first is short, above the second long."""

DAYTIMES = ((5, 12, "morning"), (12, 17, "afternoon"), (17, 22, "evening"))
"""Hours of each part of the day. All other hours are night."""

HALF = ".5"
"""Ends the key of the second half of an hour: ``14.5``. Zones differ from UTC by half hours, rarely less."""


class PersonMonth(Aggregate):
    """One partial per person and month, with a part per day; its key is ``202508|<user id>``.

    ``names`` counts the personas, models and texts of the month: one person adds only some of them to what
    people share (:mod:`shared.ledger.room`).
    """

    name = NAME
    source = USER_INTERACTIONS
    max_bytes = 256 * KILOBYTE

    def owner_of(self, key: str) -> str:
        return split_key(key)[1]

    def first_day(self, key: str) -> Day:
        return days_of_month(split_key(key)[0])[0]

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count one fact on its day."""
        match fact:
            case InteractionFact():
                month = into.partial(NAME, month_key(fact.month, fact.user_id))
                for name in (fact.persona, fact.model, *fact.texts):
                    month.count(NAMES, name)
                _interaction(fact, month)
            case SessionFact():
                _session(fact, into.partial(NAME, month_key(fact.month, fact.user_id)))
            case _:
                pass


def _interaction(fact: InteractionFact, month: Tally) -> None:
    day = month.part(fact.day[8:])
    day.add("interactions", 1)
    day.add("cited", int(bool(fact.citations)))
    day.count("hours", fact.hour[11:] + (HALF if fact.minute_of_day % 60 >= 30 else ""))
    if fact.session_id is not None:
        day.add("in_session", 1)
        day.count("sessions", hash_key(fact.session_id))
    day.count("personas", fact.persona)
    if fact.category is not None:
        day.count("categories", fact.category)
    complexity = COMPLEXITY.get(fact.complexity or "")
    day.sample("complexity", None if complexity is None else to_micro(complexity))
    day.sample("rating", fact.rating)
    day.sample("cost", fact.cost)
    day.add("unmeasured", int(not fact.measured))
    day.add("inexact", int(not fact.exact))
    for citation in fact.citations:
        day.count("texts", citation.text)
        day.count("passages", hash_key(citation.passage.key))


def _session(fact: SessionFact, month: Tally) -> None:
    day = month.part(fact.day[8:])
    day.count("sessions", hash_key(fact.session_id))
    day.sample("session_seconds", fact.seconds)
    day.sample("depth", fact.depth)
    day.sample("session_quality", fact.quality)
    day.sample("session_rating", fact.satisfaction)
    day.sample("attention", fact.attention)
    followed = fact.citations_followed
    day.sample("followed", None if followed is None else int(followed > 0))
    if fact.seconds is not None:
        day.count("session_lengths", _length(fact.seconds))
    if fact.outcome is not None:
        day.count("outcomes", fact.outcome)


def _length(seconds: int) -> str:
    if seconds < SHORT_SESSION:
        return "short"
    return "medium" if seconds <= LONG_SESSION else "long"


def month_key(month: Month, user_id: str) -> str:
    """Return the key of a person's month."""
    return f"{month}|{user_id}"


def split_key(key: str) -> tuple[Month, str]:
    """Return the month and the user id of a key."""
    month, _, user_id = key.partition("|")
    return Month(month), user_id


def by_day(state: Tally) -> dict[str, Tally]:
    """Return the parts of a month by day, ``"05"``, in order of the days."""
    return dict(sorted(state.parts().items()))


def summary_of(state: Tally) -> MonthSummary | None:
    """Return the summary of a person's month, None if the person was not active in it."""
    whole = merged(state.parts().values())
    if not whole.total("interactions"):
        return None
    daytimes: Counter[str] = Counter()
    for key, count in whole.counts("hours").items():
        daytimes[daytime(int(key.removesuffix(HALF)))] += count
    depth = depth_of(whole)
    return MonthSummary(
        sessions=len(whole.counts("sessions")),
        depth=None if depth is None else to_micro(depth),
        session_seconds=whole.mean_of("session_seconds"),
        rating=whole.mean_of("rating"),
        persona=_favourite(whole.counts("personas")),
        category=_favourite(whole.counts("categories")),
        daytime=_favourite(daytimes),
    )


def depth_of(state: Tally) -> float | None:
    """Return the content depth score of a person, from the sum of any of their days.

    The mean of what the web application measured of their sessions; where it measured none, the score.
    """
    if state.total("interactions") and state.samples("depth"):
        return state.mean("depth", MICROS)
    passages = state.counts("passages")
    return content_depth(
        interactions=state.total("interactions"),
        citations=sum(passages.values()),
        passages=len(passages),
        texts=len(state.counts("texts")),
        complexity=state.mean("complexity", MICROS),
    )


def local_hours(state: Tally, day: Day, zone: str | None = None) -> Counter[int]:
    """Return the interactions of a day's state by the hour of the person's clock.

    Parameters
    ----------
    zone
        Name of the person's time zone, UTC without one. One that the system does not know counts as UTC.
    """
    found: Counter[int] = Counter()
    for key, interactions in state.counts("hours").items():
        hour, minutes = int(key.removesuffix(HALF)), 30 * key.endswith(HALF)
        found[_hour_in(day, hour, minutes, zone) if zone else hour] += interactions
    return found


@lru_cache(maxsize=65_536)
def _hour_in(day: Day, hour: int, minute: int, zone: str) -> int:
    moment = datetime.fromisoformat(f"{day}T{hour:02d}:{minute:02d}:00+00:00")
    try:
        return moment.astimezone(ZoneInfo(zone)).hour
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return hour


def daytime(hour: int) -> str:
    """Return the part of the day that an hour lies in."""
    return next((name for start, end, name in DAYTIMES if start <= hour < end), "night")


def _favourite(counts: Mapping[str, int]) -> str | None:
    return top(counts, 1)[0] if counts else None
