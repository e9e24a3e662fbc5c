"""What both contenders process: a history, and after it live traffic in segments of as many changes as asked.

The people, sessions and documents are those of ``local.seed``; nothing is malformed, since the baseline would
sleep 15 s over each such document. The same seed gives the same traffic, so that every contender gets its own
copy of it, in a database of its own.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from azure.cosmos.aio import ContainerProxy

from local.seed.live import LiveTraffic
from local.seed.traffic import TrafficPlan, Write, writes

Document = dict[str, Any]

LIVE_DAY = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
"""The last day of the last whole month: what grows within a month is as large as it gets, and the sources
still keep it. Within a month a seed means one set of documents."""

LIVE_START = datetime.combine(LIVE_DAY, time(14, 5), UTC)

QUESTIONS_PER_SECOND = 23.7
"""The peak rate in the specification's example of ``daily_metrics``."""

PER_TRANSACTION = 50
"""Documents of one person per transaction: 50 documents of some 3 KB are far below the limit of 2 MB."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much traffic.

    Attributes
    ----------
    people
        Active people; the specification's "current scale" has 1,000.
    interactions_per_day, days
        The history before the live day. Ten times the history is ten times as many days.
    """

    people: int
    interactions_per_day: int
    days: int
    seed: int

    def history(self, factor: int = 1) -> TrafficPlan:
        """Return the plan of a history that is ``factor`` times as long."""
        days = self.days * factor
        return TrafficPlan(
            users=self.people,
            interactions=self.interactions_per_day * days,
            days=days,
            seed=self.seed,
            until=LIVE_DAY - timedelta(days=1),
            malformed_share=0.0,
        )


def history_chunks(plan: TrafficPlan, size: int) -> Iterator[list[Document]]:
    """Yield the history in the order of its writes, at most ``size`` documents at a time.

    A document that is written twice within a chunk is in it once, in its later version, as in a change feed.
    """
    chunk: dict[str, Document] = {}
    for write in writes(plan):
        chunk[write.document["id"]] = write.document
        if len(chunk) == size:
            yield list(chunk.values())
            chunk = {}
    if chunk:
        yield list(chunk.values())


class LiveSegments:
    """Live traffic at the specification's peak rate, cut into segments of an exact number of changes.

    Parameters
    ----------
    ratings
        Whether answers are rated, 3 to 90 s later, each by a change of its own.

    Attributes
    ----------
    taken
        How many changes the segments so far have.
    """

    def __init__(self, scale: Scale, *, ratings: bool = True) -> None:
        self._ratings = ratings
        self._traffic = LiveTraffic(scale.people, scale.seed)
        self._moment = LIVE_START.timestamp() * 1000
        self.taken = 0

    def next(self, changes: int) -> list[Document]:
        """Return the documents of the next ``changes`` changes: questions, and ratings of earlier ones."""
        segment: dict[str, Document] = {}
        for write in self._writes():
            # A document that is rated within its own segment comes once, rated.
            segment[write.document["id"]] = write.document
            if len(segment) == changes:
                break
        self.taken += len(segment)
        return list(segment.values())

    def _writes(self) -> Iterator[Write]:
        while True:
            self._moment += 1000 / QUESTIONS_PER_SECOND
            moment = int(self._moment)
            due = self._traffic.ratings_due(moment)
            yield from due if self._ratings else ()
            asked = self._traffic.ask(moment)
            if asked.defect is None:
                yield asked


async def store(
    container: ContainerProxy, documents: Sequence[Mapping[str, Any]], *, concurrency: int = 8
) -> None:
    """Write documents to ``user_interactions``, those of one person in one transaction."""
    slots = asyncio.Semaphore(concurrency)

    async def one(user_id: str, batch: list[tuple[str, tuple[Mapping[str, Any]]]]) -> None:
        async with slots:
            await container.execute_item_batch(batch, partition_key=user_id)

    await asyncio.gather(*(one(user_id, batch) for user_id, batch in transactions(documents)))


def transactions(
    documents: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[str, list[tuple[str, tuple[Mapping[str, Any]]]]]]:
    """Yield batches of upserts, each of one person, with the person's id."""
    by_user: defaultdict[str, list[tuple[str, tuple[Mapping[str, Any]]]]] = defaultdict(list)
    for document in documents:
        by_user[document["user_id"]].append(("upsert", (document,)))
    for user_id, operations in by_user.items():
        for start in range(0, len(operations), PER_TRANSACTION):
            yield user_id, operations[start : start + PER_TRANSACTION]


def distinct_people(documents: Iterable[Mapping[str, Any]]) -> int:
    """Return how many people the documents are of."""
    return len({document["user_id"] for document in documents})
