"""Live traffic for a soak, and the book of what the database must hold in the end. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from itertools import count
from random import Random

from local.seed.live import LATEST_RATING, LiveTraffic
from local.seed.malformed import DEFECTS, ENORMOUS, break_document
from local.seed.traffic import Write
from tests.corrections import Document, answered_by_another, at_another_time

PERIOD_DAYS = 25
"""Days over which the questions' times spread, however short the soak: many pages, days and months."""

MILLIS_PER_DAY = 86_400_000

SOONEST, LATEST_RATING_SECONDS = 2.0, 60.0
"""Seconds until a rating comes."""


class Kind(StrEnum):
    """What a write is."""

    QUESTION = "question"
    RATING = "rating"
    CORRECTION = "correction"
    REPETITION = "repetition"
    """An upsert that changes nothing but etag and time."""
    DAMAGE = "damage"
    """A good document becomes malformed."""
    REPAIR = "repair"
    """And good again."""


WEIGHTS = {
    Kind.QUESTION: 60,
    Kind.CORRECTION: 20,
    Kind.REPETITION: 14,
    Kind.DAMAGE: 1.5,
    Kind.REPAIR: 1,
}

DAMAGES = [name for name in DEFECTS if not name.startswith("user_id")]
"""Defects that leave a document under its partition key."""

ENORMOUS_SHARE = 0.05
"""Share of damages that make a document enormous: each is 1.9 MB."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write."""

    kind: Kind
    document: Document
    lane: int
    """Writes of one person share a lane and keep their order."""


@dataclass(frozen=True, slots=True)
class _Written:
    document: Document
    lane: int


class SoakTraffic:
    """Draws what is written next.

    Parameters
    ----------
    users
        Number of people.
    seed
        Decides who they are and what is written.
    until
        End of the period over which the questions' times spread, in milliseconds since the epoch.
    """

    def __init__(self, users: int, seed: int, until: int) -> None:
        self._random = Random(f"{seed}:soak")
        self._live = LiveTraffic(users, seed)
        self._start = until - PERIOD_DAYS * MILLIS_PER_DAY
        self._order = count()
        self._ratings: list[tuple[float, int, Write]] = []
        self._good: dict[str, _Written] = {}
        self._ids: list[str] = []
        self._damaged: list[_Written] = []

    def next(self, elapsed: float, share: float) -> Change:
        """Return the write at ``elapsed`` seconds, when ``share`` (0 to 1) of the soak is over."""
        if self._ratings and self._ratings[0][0] <= elapsed:
            _, _, write = heappop(self._ratings)
            return self._rewritten(Kind.RATING, write.document, write.lane)
        kind = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind is Kind.REPAIR and self._damaged:
            healthy = self._damaged.pop(self._random.randrange(len(self._damaged)))
            return self._rewritten(kind, healthy.document, healthy.lane)
        if kind in (Kind.QUESTION, Kind.REPAIR) or not self._ids:
            return self._question(elapsed, share)
        return self._again(kind)

    def _question(self, elapsed: float, share: float) -> Change:
        moment = self._start + round(min(share, 1.0) * PERIOD_DAYS * MILLIS_PER_DAY)
        write = self._live.ask(moment)
        for rating in self._live.ratings_due(moment + LATEST_RATING):
            due = elapsed + self._random.uniform(SOONEST, LATEST_RATING_SECONDS)
            heappush(self._ratings, (due, next(self._order), rating))
        if write.defect is None:
            return self._rewritten(Kind.QUESTION, write.document, write.lane)
        return Change(Kind.QUESTION, write.document, write.lane)

    def _again(self, kind: Kind) -> Change:
        written = self._good[self._random.choice(self._ids)]
        document, number = written.document, self._random.randrange(1, 1_000_000)
        if kind is Kind.REPETITION:
            return self._rewritten(kind, document, written.lane)
        if kind is Kind.DAMAGE:
            enormous = self._random.random() < ENORMOUS_SHARE
            defect = ENORMOUS if enormous else self._random.choice(DAMAGES)
            self._damaged.append(written)
            return Change(kind, break_document(document, defect), written.lane)
        change = self._random.choice((at_another_time, answered_by_another))
        return self._rewritten(kind, change(document, number), written.lane)

    def _rewritten(self, kind: Kind, document: Document, lane: int) -> Change:
        if document["id"] not in self._good:
            self._ids.append(document["id"])
        self._good[document["id"]] = _Written(document, lane)
        return Change(kind, document, lane)


Key = tuple[str, str]


@dataclass(slots=True)
class Book:
    """What was acknowledged: the last version of each document by its digest."""

    acknowledged: Counter[Kind] = field(default_factory=Counter)
    repeated: int = 0
    """Attempts after one whose outcome was an error, or unknown."""
    stands: dict[Key, str] = field(default_factory=dict)
    damaged: set[Key] = field(default_factory=set)
    """Documents that were malformed for a while: whether the feed delivered them then is left to chance."""

    @property
    def writes(self) -> int:
        """Writes that were acknowledged."""
        return self.acknowledged.total()

    def enter(self, change: Change) -> None:
        """Note that a write was acknowledged."""
        self.acknowledged[change.kind] += 1
        self.stands[key_of(change.document)] = digest_of(change.document)
        if change.kind is Kind.DAMAGE:
            self.damaged.add(key_of(change.document))

    def discrepancies(self, documents: list[Document]) -> list[str]:
        """Compare with what the database holds; return a line for each document that differs."""
        held: dict[Key, str] = {}
        found: list[str] = []
        for document in documents:
            key = key_of(document)
            if key in held:
                found.append(f"{key}: is there twice")
            held[key] = digest_of(document)
        for key in sorted(self.stands.keys() | held.keys()):
            if key not in held:
                found.append(f"{key}: was acknowledged and is not there")
            elif key not in self.stands:
                found.append(f"{key}: is there and was never acknowledged")
            elif held[key] != self.stands[key]:
                found.append(f"{key}: another version stands than the last one acknowledged")
        return found


def key_of(document: Document) -> Key:
    """Return what tells a document from all others: partition key (absent, null or a value) and id."""
    user = json.dumps(document["user_id"]) if "user_id" in document else "absent"
    return user, document["id"]


def digest_of(document: Document) -> str:
    """Return a digest of what a client wrote, without the properties that the service adds."""
    added = {"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn"}
    own = {name: value for name, value in document.items() if name not in added}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
