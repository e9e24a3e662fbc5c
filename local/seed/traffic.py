"""The sample traffic of a period: an ordered sequence of writes, the same for the same seed. No I/O.

The plan (who asks when) is drawn first and is small; documents are made one by one while the writes are
consumed, each from a random generator of its own, so that memory does not grow with their size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from heapq import heappop, heappush
from math import exp
from random import Random
from typing import Any, Literal

from local.seed.documents import Turn, document_id, draw_rating, interaction_document, rated
from local.seed.malformed import break_document, kinds_for
from local.seed.people import Person, make_people, random_uuid
from local.seed.personas import UNLISTED_PERSONA

DEFAULT_UNTIL = date(2025, 8, 31)
"""Last day of the period unless told otherwise: a fixed one, so that a seed means one set of documents."""

INTERACTIONS = "user_interactions"

MILLIS_PER_DAY = 86_400_000
LONGEST_TIME_TO_RATE = timedelta(days=7)
RATED_AGAIN = 0.04  # share of ratings that the person changes later


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """What to generate."""

    users: int
    interactions: int
    days: int
    seed: int
    until: date = DEFAULT_UNTIL
    malformed_share: float = 0.005

    def __post_init__(self) -> None:
        for name in ("users", "interactions", "days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.malformed_share <= 1:
            raise ValueError(f"malformed_share must be between 0 and 1, got {self.malformed_share}")

    @property
    def start(self) -> int:
        """First moment of the period, in milliseconds since the epoch."""
        first = datetime.combine(self.until - timedelta(days=self.days - 1), time(), UTC)
        return int(first.timestamp()) * 1000

    @property
    def end(self) -> int:
        """First moment after the period, in milliseconds since the epoch."""
        return self.start + self.days * MILLIS_PER_DAY


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the web application."""

    kind: Literal["create", "replace"]
    moment: int
    """When it happens, in milliseconds since the epoch."""
    document: dict[str, Any]
    lane: int
    """Writes of one person share a lane and keep their order; lanes are independent."""
    defect: str | None = None
    """How the document is malformed, None if it is valid."""
    container: str = INTERACTIONS


def writes(plan: TrafficPlan) -> Iterator[Write]:
    """Yield all writes to ``user_interactions`` in a period in the order of their moments."""
    return interaction_writes(plan, plan_turns(plan))


def interaction_writes(plan: TrafficPlan, turns: list[Turn]) -> Iterator[Write]:
    """Do what :func:`writes` does, for somebody who has the turns of the plan already."""
    defects = _draw_defects(plan, len(turns))
    later: list[
        tuple[int, int, int, Turn, int]
    ] = []  # moment, tie-breaker, lane, turn, how often rated before
    lanes = {person.user_id: lane for lane, person in enumerate(plan_people(plan))}
    order = 0
    for turn in turns:
        while later and later[0][0] <= turn.moment:
            yield _rating_write(plan, later)
        lane = lanes[turn.person.user_id]
        document = _document(plan, turn)
        defect = defects.get(turn.index)
        if defect is not None:
            yield Write("create", turn.moment, break_document(document, defect), lane, defect)
            continue
        yield Write("create", turn.moment, document, lane)
        for round_, moment in enumerate(_rating_moments(plan, turn)):
            order += 1
            heappush(later, (moment, order, lane, turn, round_))
    while later:
        yield _rating_write(plan, later)


def count_writes(plan: TrafficPlan) -> int:
    """Return how many writes :func:`writes` yields, without making the documents."""
    return count_interaction_writes(plan, plan_turns(plan))


def count_interaction_writes(plan: TrafficPlan, turns: list[Turn]) -> int:
    """Do what :func:`count_writes` does, for somebody who has the turns of the plan already."""
    defects = _draw_defects(plan, len(turns))
    ratings = sum(len(_rating_moments(plan, turn)) for turn in turns if turn.index not in defects)
    return len(turns) + ratings


def plan_turns(plan: TrafficPlan) -> list[Turn]:
    """Return exactly ``plan.interactions`` turns, in the order of their moments."""
    people = plan_people(plan)
    random = Random(f"{plan.seed}:turns")
    sketched: list[Turn] = []
    for person, count in zip(people, _shares(people, plan.interactions, random), strict=True):
        sketched.extend(_sessions(person, count, plan, random))
    sketched.sort(key=lambda turn: (turn.moment, turn.person.user_id, turn.sequence))
    return [
        Turn(index, turn.person, turn.persona, turn.topic, turn.session_start, turn.sequence, turn.moment)
        for index, turn in enumerate(sketched)
    ]


def plan_people(plan: TrafficPlan) -> tuple[Person, ...]:
    """Return the people of the plan; the position of each is the lane of its writes."""
    return make_people(plan.users, Random(f"{plan.seed}:people"))


def _shares(people: tuple[Person, ...], total: int, random: Random) -> list[int]:
    """Split ``total`` interactions among people by their habit; everybody has one if there are enough."""
    counts = [1 if index < total else 0 for index in range(len(people))]
    weights = [person.habit.intensity * random.lognormvariate(0, 0.5) for person in people]
    for index in random.choices(range(len(people)), weights, k=total - sum(counts)):
        counts[index] += 1
    return counts


def _sessions(person: Person, count: int, plan: TrafficPlan, random: Random) -> Iterator[Turn]:
    """Spread a person's interactions over sessions on the days on which the person is active."""
    first_day = int(person.joined * plan.days)
    days = [day for day in range(first_day, plan.days) if random.random() < person.habit.active_days]
    days = days or [random.randrange(first_day, plan.days)]
    taken: set[int] = set()
    while count:
        size = min(count, max(1, round(random.expovariate(1 / person.habit.session_size))))
        started = _session_start(person, random.choice(days), plan, random)
        while started // 1000 in taken:  # a session id carries its second
            started += 1000
        taken.add(started // 1000)
        yield from _session(person, started, size, random)
        count -= size


def _session(person: Person, started: int, size: int, random: Random) -> Iterator[Turn]:
    persona = weighted(person.personas, random)
    topic = weighted(person.topics, random)
    moment = started
    for sequence in range(1, size + 1):
        if random.random() < 0.1:  # now and then a session turns to somebody or something else
            persona, topic = weighted(person.personas, random), weighted(person.topics, random)
        asked = UNLISTED_PERSONA if random.random() < 0.001 else persona
        yield Turn(-1, person, asked, topic, started, sequence, moment)
        moment += 1000 + round(random.lognormvariate(4.2, 0.7) * 1000)  # about a minute to read and to think


def _session_start(person: Person, day: int, plan: TrafficPlan, random: Random) -> int:
    hour = random.choices(range(24), person.rhythm)[0]
    local = day * MILLIS_PER_DAY + hour * 3_600_000 + random.randrange(3_600_000)
    moment = local - person.utc_offset_minutes * 60_000
    # A local hour of the first or last day may lie outside the period in UTC: wrapped, it keeps the rhythm.
    return plan.start + moment % (plan.days * MILLIS_PER_DAY)


def weighted(choices: tuple[tuple[Any, float], ...], random: Random) -> Any:
    """Draw one of ``choices``, pairs of an item and its relative weight."""
    return random.choices([item for item, _ in choices], [weight for _, weight in choices])[0]


def _draw_defects(plan: TrafficPlan, turns: int) -> dict[int, str]:
    count = round(turns * plan.malformed_share)
    random = Random(f"{plan.seed}:defects")
    return dict(zip(random.sample(range(turns), count), kinds_for(count), strict=True))


def interaction_id(plan: TrafficPlan, turn: Turn) -> str:
    """Return the id of the document that a turn becomes, without making it."""
    return document_id(random_uuid(_stream(plan, turn)))


def _stream(plan: TrafficPlan, turn: Turn) -> Random:
    return Random(f"{plan.seed}:document:{turn.index}")


def _document(plan: TrafficPlan, turn: Turn) -> dict[str, Any]:
    return interaction_document(turn, _stream(plan, turn))


def _rating_moments(plan: TrafficPlan, turn: Turn) -> list[int]:
    """Return when the turn's answer is rated: not at all, once, or once and again."""
    random = Random(f"{plan.seed}:rating:{turn.index}")
    if random.random() >= turn.person.habit.rates:
        return []
    longest = LONGEST_TIME_TO_RATE.total_seconds()
    first = min(longest, exp(random.gauss(7.0, 2.0)))  # seconds: minutes for most, days for some
    moments = [turn.moment + 2_000 + round(first * 1000)]
    if random.random() < RATED_AGAIN:
        moments.append(moments[0] + 3_000 + round(random.random() * 86_400_000))
    return moments


def _rating_write(plan: TrafficPlan, later: list[tuple[int, int, int, Turn, int]]) -> Write:
    moment, _, lane, turn, round_ = heappop(later)
    random = Random(f"{plan.seed}:rated:{turn.index}:{round_}")
    document = rated(_document(plan, turn), draw_rating(turn.person, random), random)
    return Write("replace", moment, document, lane)
