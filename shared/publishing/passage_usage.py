"""Write ``usage_metrics`` into ``personality_vectors``: how often a persona cites each passage, and how well.

The figures are over all days, and a day changes long after it is over. So the share of each day is kept
beside the total, per persona and text, in some logical partitions of ``view_state``: a changed day takes its
old share out of the total and puts the new one in, in one transaction. What is written into the vectors is
the total as it stands, never an increment, and only that: the rest of the document is the content
pipeline's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosResourceNotFoundError
from xxhash import xxh3_64_intdigest

from shared.aggregates.base import RENEWAL, STATE_TTL, hash_key
from shared.aggregates.day import HASHED_PREFIX, passage_of, split_passage
from shared.aggregates.tally import Tally, ratio
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item, is_absent
from shared.cosmos.retries import retrying
from shared.errors import ConflictError
from shared.facts import Passage
from shared.ledger.reader import StateReader
from shared.scores import response_effectiveness, satisfaction
from shared.units import MICROS, Day

MAX_CONCURRENCY = 8
"""Persona and text pairs, and documents, written at the same time."""

LAST_DAYS = 8
"""Last days on which a passage was cited that are remembered: one of them may be taken back."""

SHELF_PARTS = 8
"""A text's passages are divided by so many totals. One takes up to 180 bytes, 2 MB no more than 11,000; the
Bible has 31,000 verses, and answers cite some that no text has."""

FIELDS = ("citations", "relevance", "relevances", "rating", "ratings")

_log = structlog.get_logger(__name__)

Shares = dict[str, list[int]]
"""By passage: citations, sum and number of relevance scores, sum and number of ratings."""


class Shelf(NamedTuple):
    """Part of a persona's passages of a text, which are one logical partition of ``personality_vectors``."""

    persona: str
    source: str
    part: int = 0

    @property
    def partition(self) -> str:
        """The partition key value, ``krishna::bhagavad_gita``."""
        return f"{self.persona}::{self.source}"


@dataclass(slots=True)
class UsageReport:
    """What one run did."""

    shelves: int = 0
    patched: int = 0
    absent: int = 0
    """Passages that are cited and that the content pipeline has no document for."""


class UsageWriter:
    """Keeps the totals of a generation, and writes them into the vectors."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        vectors: ContainerProxy,
        generation: int,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._state = state
        self._reader = StateReader(state)
        self._vectors = vectors
        self._generation = generation
        self._clock = clock

    async def write(self, days: Mapping[Day, tuple[int, Tally]]) -> UsageReport:
        """Bring the totals and the vectors up to date with days that changed.

        Parameters
        ----------
        days
            Merged state of each day with the sum of its revisions. One that is older than what was written
            changes nothing. Running it again is harmless.

        Raises
        ------
        CosmosHttpResponseError, ConflictError, ServiceRequestError, ServiceResponseError
            The service did not answer, or others kept writing, through all retries.
        """
        report = UsageReport()
        wanted: dict[Shelf, dict[Day, tuple[int, Shares]]] = defaultdict(dict)
        for day, (revision, state) in days.items():
            shares = _shares(state)
            for shelf in {*shares, *(await self._with_share_of(day))}:
                wanted[shelf][day] = (revision, shares.get(shelf, {}))

        async def one(shelf: Shelf) -> None:
            for day, (revision, shares) in sorted(wanted[shelf].items()):
                await self._put(shelf, day, revision, shares)
            await self._patch(shelf, report)

        await for_each(wanted, one, max_concurrency=MAX_CONCURRENCY)
        report.shelves = len(wanted)
        _log.info("usage_written", shelves=report.shelves, patched=report.patched, absent=report.absent)
        return report

    async def _with_share_of(self, day: Day) -> list[Shelf]:
        """Return the shelves that a day has a share in, though it may have lost it."""
        start = f"{self._generation}:usage:"
        shards = await self._reader.passage_groups_of_day(f"usage|{day}", start)
        return [_shelf(shard.removeprefix(start)) for shard in shards]

    def _shard(self, shelf: Shelf) -> str:
        return f"{self._generation}:usage:{shelf.partition}::{shelf.part}"

    async def _put(self, shelf: Shelf, day: Day, revision: int, shares: Shares) -> None:
        """Put a day's share into the total, in the place of the one that is there."""
        shard = self._shard(shelf)
        await retrying(ConflictError)(self._try_put, shard, day, revision, shares)

    async def _try_put(self, shard: str, day: Day, revision: int, shares: Shares) -> None:
        known, total = await self._read(shard, day), await self._read(shard, "total")
        if known is not None and known["revision"] >= revision:
            return
        before: Shares = known["shares"] if known else {}
        # A share must outlive the state of its day: that would count a second time.
        renews = known is not None and self._clock.timestamp() - known["_ts"] > RENEWAL
        if before == shares and not renews:
            return
        changed = {name for name in {*before, *shares} if before.get(name) != shares.get(name)}
        body = total or _document(shard, "total", {"shares": {}, "days": {}, "waiting": []})
        for name in changed:
            _move(body["shares"], name, before.get(name), shares.get(name))
            days = set(body["days"].get(name, ()))
            days = days | {day} if name in shares else days - {day}
            body["days"][name] = sorted(days)[-LAST_DAYS:]
        body["waiting"] = sorted({*body["waiting"], *changed})
        share = _document(shard, day, {"revision": revision, "shares": shares, "ttl": STATE_TTL})
        await self._commit(shard, [(share, known), (body, total)])

    async def _patch(self, shelf: Shelf, report: UsageReport) -> None:
        """Write what waits into the vectors, and say that it waits no longer."""
        await retrying(ConflictError)(self._try_patch, shelf, report)

    async def _try_patch(self, shelf: Shelf, report: UsageReport) -> None:
        shard = self._shard(shelf)
        total = await self._read(shard, "total")
        if total is None or not total["waiting"]:
            return

        async def one(name: str) -> bool:
            return await self._patch_one(shelf, name, total)

        found = await for_each(total["waiting"], one, max_concurrency=MAX_CONCURRENCY)
        await self._commit(shard, [(total | {"waiting": []}, total)])
        report.patched += found.count(True)
        report.absent += found.count(False)

    async def _patch_one(self, shelf: Shelf, name: str, total: Mapping[str, Any]) -> bool:
        passage = passage_of(name)
        if passage is None:
            return False
        usage = usage_metrics(total["shares"].get(name, [0] * len(FIELDS)), total["days"].get(name, ()))
        try:
            await self._vectors.patch_item(
                document_id(shelf, passage),
                shelf.partition,
                [{"op": "set", "path": "/usage_metrics", "value": usage}],
                no_response=True,
                response_hook=record_charge,
            )
        except CosmosResourceNotFoundError as error:
            if not is_absent(error):
                raise
            record_charge(error.headers or {})
            return False
        return True

    async def _read(self, shard: str, what: str) -> dict[str, Any] | None:
        return await find_item(self._state, f"usage|{what}", shard)

    async def _commit(
        self, shard: str, writes: Iterable[tuple[dict[str, Any], Mapping[str, Any] | None]]
    ) -> None:
        operations: list[tuple[Any, ...]] = [
            ("create", (body,))
            if stored is None
            else ("replace", (body["id"], body), {"if_match_etag": stored["_etag"]})
            for body, stored in writes
        ]
        try:
            await self._state.execute_item_batch(operations, partition_key=shard, response_hook=record_charge)
        except CosmosBatchOperationError as error:
            if error.status_code in (404, 409, 412):
                raise ConflictError(f"usage in {shard}: status {error.status_code}") from error
            raise


def _shelf(written: str) -> Shelf:
    persona, source, part = written.split("::")
    return Shelf(persona, source, int(part))


def document_id(shelf: Shelf, passage: Passage) -> str:
    """Return the specification's id of a passage's vectors, ``krishna_bhagavad_gita_2_47``."""
    return f"{shelf.persona}_{passage.content_id}"


def usage_metrics(share: list[int], days: Iterable[str]) -> dict[str, Any]:
    """Return the specification's block for what a persona's citations of a passage come to.

    ``last_accessed`` is the start of the last UTC day on which it was cited.
    """
    citations, relevance, relevances, rating, ratings = share
    mean = ratio(relevance, relevances * MICROS)
    last = max(days, default=None)
    return {
        "citation_count": citations,
        "last_accessed": None if last is None else f"{last}T00:00:00Z",
        "avg_relevance_score": mean,
        "user_rating_avg": ratio(rating, ratings, 2),
        "effectiveness_score": response_effectiveness(
            satisfaction_score=satisfaction(rating_sum=rating, ratings=ratings),
            relevance=mean,
            citation_accuracy=None,
        ),
    }


def _shares(state: Tally) -> dict[Shelf, Shares]:
    found: dict[Shelf, Shares] = defaultdict(dict)
    for name, citations in state.counts("passages").items():
        persona, counted = split_passage(name)
        passage, key = passage_of(counted), hash_key(name)
        if passage is None or persona.startswith(HASHED_PREFIX):
            continue
        part = xxh3_64_intdigest(counted.encode()) % SHELF_PARTS
        found[Shelf(persona, passage.text, part)][counted] = [
            citations,
            *(
                state.counts(f"{of}{part}").get(key, 0)
                for of in ("passage_relevance", "passage_rating")
                for part in ("", "#")
            ),
        ]
    return found


def _move(shares: Shares, name: str, before: list[int] | None, after: list[int] | None) -> None:
    total = shares.get(name, [0] * len(FIELDS))
    for share, sign in ((before, -1), (after, 1)):
        if share is not None:
            total = [one + sign * other for one, other in zip(total, share, strict=True)]
    if any(total):
        shares[name] = total
    else:
        shares.pop(name, None)


def _document(shard: str, what: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": f"usage|{what}", "shard": shard, "kind": "usage", **content}
