"""Write ``usage_metrics`` into ``personality_vectors``: how often and how well a persona cites a passage.

The figures are totals over all days, and a day may change long after it is over. Each day's share is
therefore stored with the total, per persona and text, in logical partitions of ``view_state``. A changed day
replaces its share in the total, in one transaction. The writer sets the total in the vectors, never an
increment, so that a repeated write is harmless. It writes no other field: the content pipeline owns the rest
of the document.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError
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
from shared.ledger.transactions import execute_guarded
from shared.scores import response_effectiveness, satisfaction
from shared.units import MICROS, Day

MAX_CONCURRENT_WRITES = 8
"""Passage groups, and documents of one group, that are written concurrently."""

LAST_DAYS = 8
"""Days of the last citations that are stored for each passage. A later change may remove the newest one."""

PARTS_PER_TEXT = 8
"""Totals over which the passages of a text are distributed. A passage needs up to 180 bytes, so 2 MB contain
no more than 11,000. The Bible has 31,000 verses, and answers cite some that no text has."""

_log = structlog.get_logger(__name__)


class Citations(NamedTuple):
    """Figures of one passage. Stored as a list, in this order."""

    citations: int = 0
    relevance: int = 0
    """Sum of the relevance scores, in millionths."""
    relevances: int = 0
    """Number of relevance scores."""
    rating: int = 0
    """Sum of the ratings."""
    ratings: int = 0
    """Number of ratings."""

    def plus(self, other: Citations, sign: int = 1) -> Citations:
        """Return the sum of both, or with ``sign`` -1 the difference."""
        return Citations(*(one + sign * another for one, another in zip(self, other, strict=True)))


Shares = Mapping[str, Citations]
"""Figures by passage."""


class PassageGroup(NamedTuple):
    """Some of the passages of a text that a persona cites: the unit of storage."""

    persona: str
    text: str
    part: int = 0
    """From 0 to :data:`PARTS_PER_TEXT` - 1."""

    @property
    def partition(self) -> str:
        """The partition key value in ``personality_vectors``, ``krishna::bhagavad_gita``."""
        return f"{self.persona}::{self.text}"


@dataclass(slots=True)
class PassageUsageReport:
    """What one run wrote."""

    groups: int = 0
    patched: int = 0
    absent: int = 0
    """Cited passages for which the content pipeline has no document."""


class PassageUsageWriter:
    """Maintains the totals of a generation, and writes them into the vectors."""

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

    async def write(self, days: Mapping[Day, tuple[int, Tally]]) -> PassageUsageReport:
        """Bring the totals and the vectors up to date with changed days. A repetition is harmless.

        Parameters
        ----------
        days
            Merged state of each day, with the sum of its revisions. A state that is older than the stored
            share of its day changes nothing.

        Raises
        ------
        ConflictError
            Other instances kept writing, through all retries.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        report = PassageUsageReport()
        changed: dict[PassageGroup, dict[Day, tuple[int, Shares]]] = defaultdict(dict)
        for day, (revision, state) in days.items():
            shares = _shares_by_group(state)
            for group in {*shares, *(await self._groups_counting(day))}:
                changed[group][day] = (revision, shares.get(group, {}))

        async def one(group: PassageGroup) -> None:
            shard = self._shard(group)
            for day, (revision, shares) in sorted(changed[group].items()):
                await retrying(ConflictError)(self._replace_share, shard, day, revision, shares)
            await retrying(ConflictError)(self._write_waiting, group, report)

        await for_each(changed, one, max_concurrency=MAX_CONCURRENT_WRITES)
        report.groups = len(changed)
        _log.info("usage_written", shelves=report.groups, patched=report.patched, absent=report.absent)
        return report

    async def _groups_counting(self, day: Day) -> list[PassageGroup]:
        """Return the groups with a stored share of a day. The changed day may no longer have this share."""
        start = f"{self._generation}:usage:"
        shards = await self._reader.passage_groups_of_day(f"usage|{day}", start)
        return [_decode_group(shard.removeprefix(start)) for shard in shards]

    def _shard(self, group: PassageGroup) -> str:
        return f"{self._generation}:usage:{group.partition}::{group.part}"

    async def _replace_share(self, shard: str, day: Day, revision: int, shares: Shares) -> None:
        """Replace a day's share of the total, and record which passages have to be written."""
        known, total = await self._read(shard, day), await self._read(shard, "total")
        if known is not None and known["revision"] >= revision:
            return
        before: Shares = _decode_shares(known["shares"]) if known else {}
        # A share has to outlive the state of its day. Without the share, the day would count a second time.
        renews = known is not None and self._clock.timestamp() - known["_ts"] > RENEWAL
        if before == shares and not renews:
            return
        changed = {name for name in {*before, *shares} if before.get(name) != shares.get(name)}
        body = total or _document(shard, "total", {"shares": {}, "days": {}, "waiting": []})
        for name in changed:
            own = Citations(*body["shares"].get(name, ()))
            own = own.plus(before.get(name, Citations()), -1).plus(shares.get(name, Citations()))
            if any(own):
                body["shares"][name] = own
            else:
                body["shares"].pop(name, None)
            days = set(body["days"].get(name, ()))
            days = days | {day} if name in shares else days - {day}
            body["days"][name] = sorted(days)[-LAST_DAYS:]
        body["waiting"] = sorted({*body["waiting"], *changed})
        share = _document(shard, day, {"revision": revision, "shares": shares, "ttl": STATE_TTL})
        await execute_guarded(self._state, shard, [(share, _etag(known)), (body, _etag(total))])

    async def _write_waiting(self, group: PassageGroup, report: PassageUsageReport) -> None:
        """Write the changed passages of a group into their vectors, and record that none is waiting."""
        shard = self._shard(group)
        total = await self._read(shard, "total")
        if total is None or not total["waiting"]:
            return

        async def one(name: str) -> bool:
            return await self._patch_vector(group, name, total)

        found = await for_each(total["waiting"], one, max_concurrency=MAX_CONCURRENT_WRITES)
        await execute_guarded(self._state, shard, [(total | {"waiting": []}, _etag(total))])
        report.patched += found.count(True)
        report.absent += found.count(False)

    async def _patch_vector(self, group: PassageGroup, name: str, total: Mapping[str, Any]) -> bool:
        """Write one passage's figures. Return False if the content pipeline has no document for it."""
        passage = passage_of(name)
        if passage is None:
            return False
        figures = Citations(*total["shares"].get(name, ()))
        usage = usage_metrics(figures, total["days"].get(name, ()))
        try:
            await self._vectors.patch_item(
                document_id(group, passage),
                group.partition,
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


def document_id(group: PassageGroup, passage: Passage) -> str:
    """Return the specification's id of a passage's vectors, ``krishna_bhagavad_gita_2_47``."""
    return f"{group.persona}_{passage.content_id}"


def usage_metrics(figures: Citations, days: Iterable[str]) -> dict[str, Any]:
    """Return the specification's block for a persona's citations of a passage.

    ``last_accessed`` is the start of the last UTC day on which it was cited.
    """
    mean = ratio(figures.relevance, figures.relevances * MICROS)
    last = max(days, default=None)
    return {
        "citation_count": figures.citations,
        "last_accessed": None if last is None else f"{last}T00:00:00Z",
        "avg_relevance_score": mean,
        "user_rating_avg": ratio(figures.rating, figures.ratings, 2),
        "effectiveness_score": response_effectiveness(
            satisfaction_score=satisfaction(rating_sum=figures.rating, ratings=figures.ratings),
            relevance=mean,
            citation_accuracy=None,
        ),
    }


def _shares_by_group(state: Tally) -> dict[PassageGroup, Shares]:
    found: dict[PassageGroup, dict[str, Citations]] = defaultdict(dict)
    for name, citations in state.counts("passages").items():
        persona, counted = split_passage(name)
        passage, key = passage_of(counted), hash_key(name)
        if passage is None or persona.startswith(HASHED_PREFIX):
            continue
        part = xxh3_64_intdigest(counted.encode()) % PARTS_PER_TEXT
        found[PassageGroup(persona, passage.text, part)][counted] = Citations(
            citations,
            relevance=state.counts("passage_relevance").get(key, 0),
            relevances=state.counts("passage_relevance#").get(key, 0),
            rating=state.counts("passage_rating").get(key, 0),
            ratings=state.counts("passage_rating#").get(key, 0),
        )
    return dict(found)


def _decode_group(stored: str) -> PassageGroup:
    persona, text, part = stored.split("::")
    return PassageGroup(persona, text, int(part))


def _decode_shares(stored: Mapping[str, list[int]]) -> Shares:
    return {name: Citations(*figures) for name, figures in stored.items()}


def _etag(stored: Mapping[str, Any] | None) -> str | None:
    return None if stored is None else stored["_etag"]


def _document(shard: str, what: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": f"usage|{what}", "shard": shard, "kind": "usage", **content}
