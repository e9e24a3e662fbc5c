"""Live traffic for a soak, and the book of what the database must hold in the end. No I/O."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from itertools import count
from random import Random

from local.cosmos.partitioning import effective_key
from local.seed.live import LATEST_RATING
from local.seed.live_database import LATEST_REVIEW, LiveDatabase
from local.seed.malformed import DEFECTS, ENORMOUS, break_document
from local.seed.traffic import INTERACTIONS, Write
from tests.corrections import Document, answered_by_another, at_another_time

PERIOD_DAYS = 25
"""Days over which the questions' times spread, however short the soak: many pages, days and months."""

MILLIS_PER_DAY = 86_400_000

SOONEST, LATEST_RATING_SECONDS = 2.0, 60.0
"""Seconds until a rating or a review comes."""

ONE_HALF_FROM, ONE_HALF_UNTIL = 0.35, 0.6
"""Shares of the soak between which only people in the first half of the partition keys write."""

MIDDLE = "20000000000000000000000000000000"
"""The middle of the effective partition keys, where a container of one partition is split first."""


LAP_DOCUMENTS = 250
"""Documents of one lap."""


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
    OTHER = "other"
    """An account, a session, an incident or a passage that goes with a question."""
    LAP = "lap"
    """The same documents again and again, when the disturbances are over: see :mod:`tests.soak.memory`."""


WEIGHTS = {
    Kind.QUESTION: 60,
    Kind.CORRECTION: 20,
    Kind.REPETITION: 14,
    Kind.DAMAGE: 1.5,
    Kind.REPAIR: 1,
}

DAMAGES = [name for name in DEFECTS if not name.startswith(("user_id", "schema_version"))]
"""Defects that leave a document under its partition key, and take back what was counted of it."""

ENORMOUS_SHARE = 0.05
"""Share of damages that make a document enormous: each is 1.9 MB."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write."""

    kind: Kind
    document: Document
    lane: int
    """Writes of one person share a lane and keep their order."""
    container: str = INTERACTIONS
    malformed: bool = False
    """Whether a document of another container has a defect. Interactions tell by themselves."""


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
        self._live = LiveDatabase(users, seed)
        self._start = until - PERIOD_DAYS * MILLIS_PER_DAY
        self._order = count()
        self._later: list[tuple[float, int, Write]] = []
        self._next = deque(map(_other, self._live.begin(self._start)))
        self._held = deque[Change]()
        """Writes of the second half that wait until both halves write again."""
        self._good: dict[str, _Written] = {}
        self._ids: list[str] = []
        self._damaged: list[_Written] = []

    def next(self, elapsed: float, share: float) -> Change:
        """Return the write at ``elapsed`` seconds, when ``share`` (0 to 1) of the soak is over."""
        if not ONE_HALF_FROM <= share < ONE_HALF_UNTIL:
            return self._held.popleft() if self._held else self._drawn(elapsed, share)
        while True:
            change = self._drawn(elapsed, share)
            if is_in_first_half(change.document):
                return change
            self._held.append(change)

    def left(self) -> Iterable[Change]:
        """Return what has to be written in the end."""
        return [*self._held, *self._next]

    def lap(self, number: int) -> list[Change]:
        """Return the writes of a lap: the same documents in each, in one of two versions by turns.

        What is kept per document, or per state that a document is counted in, is full after the second lap.
        """
        ids = sorted(self._good.keys() - {one.document["id"] for one in self._damaged})[:LAP_DOCUMENTS]
        return [
            Change(
                Kind.LAP, answered_by_another(self._good[name].document, number % 2), self._good[name].lane
            )
            for name in ids
        ]

    def _drawn(self, elapsed: float, share: float) -> Change:
        if self._next:
            return self._next.popleft()
        if self._later and self._later[0][0] <= elapsed:
            _, _, write = heappop(self._later)
            return self._change(Kind.RATING, write)
        kind = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind is Kind.REPAIR and self._damaged:
            healthy = self._damaged.pop(self._random.randrange(len(self._damaged)))
            return self._rewritten(kind, healthy.document, healthy.lane)
        if kind in (Kind.QUESTION, Kind.REPAIR) or not self._ids:
            self._ask(elapsed, share)
            return self._next.popleft()
        return self._again(kind)

    def _ask(self, elapsed: float, share: float) -> None:
        """Draw the next question, with what goes with it."""
        moment = self._start + round(min(share, 1.0) * PERIOD_DAYS * MILLIS_PER_DAY)
        self._next.extend(self._change(Kind.QUESTION, write) for write in self._live.ask(moment))
        for write in self._live.due(moment + max(LATEST_RATING, 2 * LATEST_REVIEW)):
            due = elapsed + self._random.uniform(SOONEST, LATEST_RATING_SECONDS)
            heappush(self._later, (due, next(self._order), write))

    def _change(self, kind: Kind, write: Write) -> Change:
        if write.container != INTERACTIONS:
            return _other(write)
        if write.defect is not None:
            return Change(kind, write.document, write.lane)
        return self._rewritten(kind, write.document, write.lane)

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


def _other(write: Write) -> Change:
    return Change(Kind.OTHER, write.document, write.lane, write.container, write.defect is not None)


def is_in_first_half(document: Document) -> bool:
    """Say whether a document is in the first half of the partition keys; all that is not one person's is."""
    user = document.get("user_id")
    return not isinstance(user, str) or effective_key((user,), hierarchical=False) < MIDDLE


Key = tuple[str, str]

Reference = tuple[str, str, str]
"""Container, user and id: what a poison row says of its document."""


@dataclass(slots=True)
class Book:
    """What was acknowledged: the last version of each document by its digest."""

    acknowledged: Counter[Kind] = field(default_factory=Counter)
    repeated: int = 0
    """Attempts after one whose outcome was an error, or unknown."""
    stands: dict[Key, str] = field(default_factory=dict)
    """Of interactions. Other containers hold what one upsert after the other has left there."""
    malformed: set[Reference] = field(default_factory=set)
    """Documents of other containers that are malformed."""
    damaged: set[Reference] = field(default_factory=set)
    """Documents that were malformed for a while: whether the feed delivered them then is left to chance."""

    @property
    def writes(self) -> int:
        """Writes that were acknowledged."""
        return self.acknowledged.total()

    def enter(self, change: Change) -> None:
        """Note that a write was acknowledged."""
        self.acknowledged[change.kind] += 1
        if change.container != INTERACTIONS:
            if change.malformed:
                self.malformed.add(reference_of(change.container, change.document))
            return
        self.stands[key_of(change.document)] = digest_of(change.document)
        if change.kind is Kind.DAMAGE:
            self.damaged.add(reference_of(change.container, change.document))

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


def reference_of(container: str, document: Document) -> Reference:
    """Return what a poison row says of a document: a missing user and one that is null are the same."""
    return container, json.dumps(document.get("user_id")), document["id"]


def digest_of(document: Document) -> str:
    """Return a digest of what a client wrote, without the properties that the service adds."""
    added = {"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn"}
    own = {name: value for name, value in document.items() if name not in added}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
