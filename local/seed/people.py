"""The people of the sample traffic: who they are, when they are awake and how they use the platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar
from uuid import UUID

from local.seed.personas import PERSONAS, Persona
from local.seed.phrases import TOPICS, Topic

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Habit:
    """A way of using the platform."""

    name: str
    share: float
    """Share of all people."""
    intensity: float
    """Relative number of interactions."""
    active_days: float
    """Share of the days since joining on which a session may happen."""
    session_size: float
    """Mean number of interactions in a session."""
    rates: float
    """Probability that an answer is rated."""


OCCASIONAL = Habit("occasional", 0.55, 1.0, 0.12, 1.8, 0.2)
CONSISTENT_SEEKER = Habit("consistent_seeker", 0.33, 4.0, 0.55, 2.8, 0.35)
INTENSIVE_LEARNER = Habit("intensive_learner", 0.12, 12.0, 0.8, 5.5, 0.5)
HABITS = (OCCASIONAL, CONSISTENT_SEEKER, INTENSIVE_LEARNER)

TIMEZONES: tuple[tuple[str, int, float], ...] = (
    ("America/New_York", -240, 30),
    ("America/Los_Angeles", -420, 15),
    ("America/Sao_Paulo", -180, 5),
    ("Europe/London", 60, 10),
    ("Europe/Berlin", 120, 10),
    ("Asia/Kolkata", 330, 25),
    ("Asia/Tokyo", 540, 5),
)
"""Name, offset from UTC in minutes, weight.

Offsets are fixed (summer time) and not looked up: the same seed must give the same documents on a machine
with another time zone database, or none.
"""

# Relative activity per local hour: little at night, a peak before work, at lunch and in the evening.
DAY_RHYTHM = (2, 1, 1, 1, 1, 3, 6, 9, 9, 7, 6, 7, 9, 8, 7, 6, 6, 7, 9, 12, 14, 14, 10, 5)


@dataclass(frozen=True, slots=True)
class Person:
    """One person."""

    user_id: str
    habit: Habit
    timezone: str
    utc_offset_minutes: int
    rhythm: tuple[int, ...]
    """Relative activity per local hour, 24 numbers."""
    language: str
    personas: tuple[tuple[Persona, float], ...]
    """Whom the person asks, with relative weights."""
    topics: tuple[tuple[Topic, float], ...]
    joined: float
    """When the person first comes, as a share of the period (0 = was there before)."""
    generosity: float
    """Mean of the ratings the person gives, 1–5."""


def random_uuid(random: Random) -> str:
    """Return a version 4 UUID drawn from ``random``."""
    return str(UUID(int=random.getrandbits(128), version=4))


def make_people(count: int, random: Random) -> tuple[Person, ...]:
    """Draw ``count`` people."""
    return tuple(_make_person(random) for _ in range(count))


def _make_person(random: Random) -> Person:
    user_id = random_uuid(random)
    habit = random.choices(HABITS, [habit.share for habit in HABITS])[0]
    timezone, offset, _ = random.choices(TIMEZONES, [weight for _, _, weight in TIMEZONES])[0]
    shift = random.choice((-2, -1, -1, 0, 0, 0, 1, 2))  # early risers and night owls
    rhythm = tuple(DAY_RHYTHM[(hour - shift) % 24] for hour in range(24))
    favourites = _distinct(random, PERSONAS, [p.popularity for p in PERSONAS], random.randint(1, 3))
    interests = _distinct(random, TOPICS, [t.weight for t in TOPICS], random.randint(2, 4))
    return Person(
        user_id=user_id,
        habit=habit,
        timezone=timezone,
        utc_offset_minutes=offset,
        rhythm=rhythm,
        language=_language(random, timezone),
        personas=tuple(zip(favourites, (6, 2, 1), strict=False)),
        topics=tuple(zip(interests, (5, 3, 2, 1), strict=False)),
        joined=0.0 if random.random() < 0.6 else random.random() * 0.9,
        generosity=min(4.9, max(2.0, random.gauss(4.1, 0.5))),
    )


def _language(random: Random, timezone: str) -> str:
    local = {"Asia/Kolkata": ("hi", 0.25), "Europe/Berlin": ("de", 0.6), "America/Sao_Paulo": ("es", 0.3)}
    language, share = local.get(timezone, ("es", 0.04))
    return language if random.random() < share else "en"


def _distinct(random: Random, items: Sequence[T], weights: list[float], count: int) -> list[T]:
    """Draw ``count`` different items, the heavier ones more often."""
    left, chances, drawn = list(items), list(weights), []
    for _ in range(min(count, len(left))):
        index = random.choices(range(len(left)), chances)[0]
        drawn.append(left.pop(index))
        del chances[index]
    return drawn
