"""Live interactions: the same people and documents, written as if they were asking now. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Any

from local.seed.documents import Turn, draw_rating, interaction_document, rated, session_id
from local.seed.malformed import DEFECTS, break_document
from local.seed.people import Person, make_people
from local.seed.traffic import Write, weighted

CONTINUES = 0.6  # probability that a question continues a session that is open
OPEN_SESSIONS = 50
MALFORMED_SHARE = 0.005
SOONEST_RATING, LATEST_RATING = 3_000, 90_000  # milliseconds: somebody who watches wants to see ratings come


@dataclass(slots=True)
class _Session:
    person: Person
    lane: int
    started: int
    asked: int = 0


class LiveTraffic:
    """Draws who asks next, and remembers what is still to be rated.

    Parameters
    ----------
    users
        Number of people.
    seed
        Decides who they are and what they do; the documents' times are those given to the methods.
    """

    def __init__(self, users: int, seed: int) -> None:
        self._random = Random(f"{seed}:live")
        self._people = make_people(users, Random(f"{seed}:people"))
        self._weights = [person.habit.intensity for person in self._people]
        self._open: list[_Session] = []
        self._ratings: list[tuple[int, int, int, Person, dict[str, Any]]] = []
        self._asked = 0
        self.turn: Turn | None = None
        """The last question."""

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody who may ask; the position of each is the lane of its writes."""
        return self._people

    @property
    def is_deserted(self) -> bool:
        """Whether everybody has left, so that nobody can ask."""
        return not any(self._weights)

    def leave(self, lane: int) -> None:
        """Let a person ask no more, because their account was erased."""
        self._weights[lane] = 0.0
        self._open = [session for session in self._open if session.lane != lane]

    def open_sessions(self) -> set[str]:
        """Return the ids of the sessions that may still go on."""
        return {session_id(session.person.user_id, session.started) for session in self._open}

    def ask(self, moment: int) -> Write:
        """Return the next question, asked at ``moment`` (milliseconds since the epoch), unless deserted."""
        session = self._session(moment)
        session.asked += 1
        self._asked += 1
        person = session.person
        turn = Turn(
            self._asked,
            person,
            weighted(person.personas, self._random),
            weighted(person.topics, self._random),
            session.started,
            session.asked,
            moment,
        )
        self.turn = turn
        document = interaction_document(turn, self._random)
        if self._random.random() < MALFORMED_SHARE:
            defect = self._random.choice(list(DEFECTS))
            return Write("create", moment, break_document(document, defect), session.lane, defect)
        if self._random.random() < person.habit.rates:
            due = moment + self._random.randint(SOONEST_RATING, LATEST_RATING)
            heappush(self._ratings, (due, self._asked, session.lane, person, document))
        return Write("create", moment, document, session.lane)

    def ratings_due(self, moment: int) -> Iterator[Write]:
        """Yield the ratings that have come by ``moment`` (milliseconds since the epoch)."""
        while self._ratings and self._ratings[0][0] <= moment:
            due, _, lane, person, document = heappop(self._ratings)
            rating = draw_rating(person, self._random)
            yield Write("replace", due, rated(document, rating, self._random), lane)

    def _session(self, moment: int) -> _Session:
        if self._open and self._random.random() < CONTINUES:
            return self._random.choice(self._open)
        lane = self._random.choices(range(len(self._people)), self._weights)[0]
        session = _Session(self._people[lane], lane, moment)
        self._open.append(session)
        if len(self._open) > OPEN_SESSIONS:
            self._open.pop(0)
        return session
