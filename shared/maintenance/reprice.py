"""Reprice counted interactions after prices were added or corrected.

A walk over the ledger goes in pieces: up to :data:`PAGES_PER_PIECE` pages of one shard, after which its
position is committed. Several instances may walk at once. Each learns from the committed positions what the
others have done, and begins with another shard.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog
from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.containers import FLEET_STATE, VIEW_STATE
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.retries import INVOCATION_SECONDS, RUN_SECONDS
from shared.facts import USER_INTERACTIONS, InteractionFact, priced
from shared.ledger.apply import ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.pages import Page, page_id
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId, all_shards
from shared.pricing.price_book import LIFETIME_SECONDS, PriceBook
from shared.pricing.table import PriceTable
from shared.settings import Settings
from shared.units import EventHour, Millis, event_hour

PAGES_PER_PIECE = 20
"""Ledger pages that a piece holds in memory, of up to 100 KB each."""

MAX_CONCURRENT_SHARDS = 4

GRACE_SECONDS = LIFETIME_SECONDS + INVOCATION_SECONDS + 120
"""Grace period in seconds after a price change: twelve minutes. Instances may still fold with the old table
during it: they cache a table for a minute, and an invocation lasts up to its deadline. Two minutes are spare.
Afterwards the pages written during it are checked again."""

OVERLAP_SECONDS = 120
"""The check after the grace period starts this many seconds before the walk, because clocks differ."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RepriceReport:
    """The result of a run."""

    changed: bool = False
    """Whether there was a walk to do."""
    shards: int = 0
    """Shards that the run finished."""
    pages: int = 0
    repriced: int = 0
    refused: int = 0
    """Interactions that keep their old cost, because a state has no room for a price that it did not have."""
    finished: bool = True
    """False if the time was up. The next run continues."""
    settles_in: int = 0
    """Seconds until the end of the grace period, when interactions counted at old prices can be repriced."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """The progress of a walk over the ledger."""

    table: str
    """Fingerprint of the prices that the walk applies."""
    began: int
    hour: str
    """First hour whose pages may have to change."""
    since: int
    """Only pages written from this time on are read, in seconds since the epoch; 0 for all pages."""
    changes: int = 0
    """How often the overrides had been changed when it began."""
    done: frozenset[str] = frozenset()
    """Finished shards."""
    positions: Mapping[str, str] = field(default_factory=dict)
    """The lowest id of a page that is not done, of each shard that has begun."""

    @property
    def name(self) -> tuple[str, int, int]:
        """Distinguishes it from other walks."""
        return self.table, self.changes, self.began

    def first_of(self, shard: ShardId) -> str:
        """Return the lowest id of a page of a shard that is not done."""
        return self.positions.get(shard, page_id(USER_INTERACTIONS, EventHour(self.hour)))

    def advanced(self, shard: ShardId, position: str | None) -> _Walk:
        """Return the walk with a shard's position, None if it is finished. A position never goes back."""
        rest = {other: known for other, known in self.positions.items() if other != shard}
        if position is None or shard in self.done:
            return replace(self, done=self.done | {shard}, positions=rest)
        return replace(self, positions={**rest, shard: max(position, self.first_of(shard))})

    def encode(self) -> dict[str, Any]:
        return asdict(self) | {"done": sorted(self.done), "positions": dict(self.positions)}

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> _Walk:
        return cls(
            stored["table"],
            stored["began"],
            stored["hour"],
            stored["since"],
            stored.get("changes", 0),
            frozenset(stored["done"]),
            stored.get("positions", {}),
        )


@dataclass(frozen=True, slots=True)
class _Progress:
    """The document of a generation.

    Attributes
    ----------
    table
        The price table of all counted interactions at the end of the last walk.
    walk
        The current walk, None if there is none.
    grace_since
        Start of the walk whose grace period is not checked yet: instances may have counted at other prices
        since then. None after the check.
    changes
        How often the overrides had been changed when the last walk began.
    """

    table: Mapping[str, Any] | None = None
    walk: _Walk | None = None
    grace_since: int | None = None
    changes: int = 0

    def encode(self) -> dict[str, Any]:
        walk = None if self.walk is None else self.walk.encode()
        return {"table": self.table, "walk": walk, "settling": self.grace_since, "changes": self.changes}

    @classmethod
    def decode(cls, stored: Mapping[str, Any] | None) -> _Progress:
        if stored is None:
            return cls()
        walk = None if stored["walk"] is None else _Walk.decode(stored["walk"])
        return cls(stored.get("table"), walk, stored["settling"], stored.get("changes", 0))


class Repricer:
    """Walks the ledger and reprices every fact whose price has changed.

    Several instances may run at once. A fact at the current price is skipped, so a piece that two of them do
    is corrected once.
    """

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        writer: ShardWriter,
        prices: PriceBook,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
        budget_seconds: float = RUN_SECONDS,
    ) -> None:
        self._reader = StateReader(database.get_container_client(VIEW_STATE))
        self._document = ControlDocument(
            database.get_container_client(FLEET_STATE), Scope.PRICING, f"applied-{settings.generation}"
        )
        self._writer = writer
        self._prices = prices
        self._shards = all_shards(shards=settings.shards, generation=settings.generation)
        self._clock = clock
        self._budget = budget_seconds

    async def apply(self) -> RepriceReport:
        """Reprice all counted interactions at the prices in force, as far as the time budget allows.

        Raises
        ------
        CosmosHttpResponseError, ConflictError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. Corrections stay; the next run continues.
        """
        deadline = self._clock.monotonic() + self._budget
        changes = await self._prices.changes()  # before the overrides: a later change is seen by the next run
        table = (await self._prices.overrides()).table()
        now = self._clock.timestamp()
        progress = await self._update(lambda known: _with_walk(known, table, changes, now))
        report = RepriceReport()
        if progress.walk is not None:
            report.changed = True
            progress = await self._resume(progress.walk, table, deadline, report)
            report.finished = progress.walk is None
        if progress.grace_since is not None and report.finished:
            left = progress.grace_since + GRACE_SECONDS - self._clock.timestamp()
            report.settles_in = max(0, round(left))
        if report.changed:
            _log.info(
                "prices_applied",
                shards=report.shards,
                pages=report.pages,
                repriced=report.repriced,
                refused=report.refused,
                finished=report.finished,
            )
        return report

    async def _resume(
        self, walk: _Walk, table: PriceTable, deadline: float, report: RepriceReport
    ) -> _Progress:
        """Continue a walk until its end or the deadline; return the progress that is stored then."""
        committing = asyncio.Lock()  # so that the shards of one process do not conflict

        async def one(shard: ShardId) -> None:
            current: _Walk | None = walk
            while current is not None and shard not in current.done and self._clock.monotonic() < deadline:
                position = await self._reprice_piece(shard, current, table, report)
                async with committing:
                    current = await self._commit(walk, shard, position)
                report.shards += position is None

        left = [shard for shard in self._shards if shard not in walk.done]
        random.shuffle(left)  # so that instances begin with different ones
        await for_each(left, one, max_concurrency=MAX_CONCURRENT_SHARDS)
        return await self._update(lambda known: _finished(known, walk, self._shards, table))

    async def _reprice_piece(
        self, shard: ShardId, walk: _Walk, table: PriceTable, report: RepriceReport
    ) -> str | None:
        """Reprice the next pages of a shard; return the position after them, None if there are no more."""
        items = await self._reader.pages_from(
            shard, USER_INTERACTIONS, walk.first_of(shard), since=walk.since, limit=PAGES_PER_PIECE
        )
        for item in items:
            page = Page.decode(item)
            report.pages += 1
            corrections = list(_corrections(page, table))
            if corrections:
                result = await self._writer.apply(shard, page.source, corrections)
                report.repriced += result.verdicts[Verdict.REPLACED]
                report.refused += len(result.refused)
        # No id is between an id and the same one with a space.
        return f"{items[-1]['id']} " if len(items) == PAGES_PER_PIECE else None

    async def _commit(self, walk: _Walk, shard: ShardId, position: str | None) -> _Walk | None:
        """Store a shard's position; return the walk as stored, None if another one has taken its place."""

        def change(known: _Progress) -> _Progress:
            if known.walk is None or known.walk.name != walk.name:
                return known
            return replace(known, walk=known.walk.advanced(shard, position))

        stored = (await self._update(change)).walk
        return stored if stored is not None and stored.name == walk.name else None

    async def _update(self, change: Callable[[_Progress], _Progress]) -> _Progress:
        """Change the stored progress; return it. Other instances' changes are not lost."""

        def apply(stored: dict[str, Any] | None) -> dict[str, Any] | None:
            known = _Progress.decode(stored)
            changed = change(known)
            return None if stored is not None and changed == known else changed.encode()

        return _Progress.decode(await self._document.update(apply))


def _with_walk(progress: _Progress, table: PriceTable, changes: int, now: float) -> _Progress:
    """Return the progress with the walk to begin or to continue, if there is one to do."""
    walk, prices = progress.walk, (table.fingerprint, changes)
    if walk is not None and (walk.table, walk.changes) == prices:
        return progress
    applied = None if progress.table is None else PriceTable.load(progress.table)
    if walk is not None or applied is None or (applied.fingerprint, progress.changes) != prices:
        # Only the hours from the first difference on may have other prices, unless instances may have counted
        # at a third table: before the last walk, during it, or between two changes.
        is_settled = walk is None and progress.grace_since is None and changes - progress.changes in {0, 1}
        first = applied.first_difference(table) if applied is not None and is_settled else Millis(0)
        return replace(progress, walk=_Walk(table.fingerprint, int(now), event_hour(first), 0, changes))
    if progress.grace_since is not None and now >= progress.grace_since + GRACE_SECONDS:
        since = progress.grace_since - OVERLAP_SECONDS
        return replace(
            progress, walk=_Walk(table.fingerprint, int(now), event_hour(Millis(0)), since, changes)
        )
    return progress


def _finished(progress: _Progress, walk: _Walk, shards: Sequence[ShardId], table: PriceTable) -> _Progress:
    """Return the progress without the walk, if all shards are done."""
    current = progress.walk
    if current is None or current.name != walk.name or not current.done.issuperset(shards):
        return progress
    return _Progress(table.dump(), None, None if walk.since else walk.began, walk.changes)


def _corrections(page: Page, table: PriceTable) -> Iterator[Change]:
    for user_id, document_id, (version, fact) in page:
        if not isinstance(fact, InteractionFact):
            continue
        current = priced(fact, table)
        if current != fact:
            yield Change(user_id, document_id, version, current, reprices=True)
