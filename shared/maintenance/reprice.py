"""Reprice counted interactions after prices were added or corrected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.containers import FLEET_STATE, VIEW_STATE
from shared.cosmos.control import ControlDocument, Scope
from shared.facts import USER_INTERACTIONS, InteractionFact
from shared.ledger.apply import ShardWriter
from shared.ledger.changes import Change, Verdict
from shared.ledger.pages import Page
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId, all_shards
from shared.pricing.price_book import LIFETIME_SECONDS, PriceBook
from shared.pricing.table import ModelPrice, PriceTable, list_prices, parse_price
from shared.settings import Settings
from shared.units import EventHour, Millis, event_hour

BUDGET_SECONDS = 240.0
"""Longest duration of one run in seconds: less than the five minutes between two runs. The next run
continues."""

MAX_CONCURRENT_SHARDS = 8

GRACE_SECONDS = LIFETIME_SECONDS + 660
"""Grace period in seconds after a price change. Instances may still fold with the old table during it: they
cache a table for a minute, and an invocation lasts up to ten minutes (``functionTimeout``). One minute is
spare. After the grace period the pages written during it are checked again."""

OVERLAP_SECONDS = 120
"""The check after the grace period starts this many seconds before the walk, because clocks differ."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RepriceReport:
    """The result of a run."""

    changed: bool = False
    """Whether there was a walk to do."""
    shards: int = 0
    pages: int = 0
    repriced: int = 0
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
    done: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "began": self.began,
            "hour": self.hour,
            "since": self.since,
            "done": list(self.done),
        }

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> _Walk:
        return cls(stored["table"], stored["began"], stored["hour"], stored["since"], tuple(stored["done"]))


@dataclass(slots=True)
class _Progress:
    """The document of a generation.

    Attributes
    ----------
    prices
        The prices of all counted interactions at the end of the last walk.
    walk
        The current walk, None if there is none.
    grace_since
        Start of the walk whose grace period is not checked yet: instances may have counted at other prices
        since then. None after the check.
    """

    prices: Sequence[Mapping[str, Any]] | None = None
    walk: _Walk | None = None
    grace_since: int | None = None


class Repricer:
    """Walks the ledger and reprices every fact whose price has changed.

    Two concurrent runs do the same work twice and no harm: a fact at the current price is skipped.
    """

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        writer: ShardWriter,
        prices: PriceBook,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
        budget_seconds: float = BUDGET_SECONDS,
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
        table = PriceTable((*list_prices(), *await self._prices.overrides()))
        progress, report = await self._read(), RepriceReport()
        if not self._plan_walk(progress, table):
            if progress.grace_since is not None:
                report.settles_in = self._seconds_left(progress.grace_since)
            return report
        report.changed = True
        walk = progress.walk
        assert walk is not None  # noqa: S101  that is what was planned
        await self._write(progress)
        await self._resume(walk, table, progress, report)
        if report.finished:
            progress.walk = None
            progress.grace_since = walk.began if not walk.since else None
            progress.prices = [price.model_dump(mode="json") for price in table.entries()]
            await self._write(progress)
            if progress.grace_since is not None:
                report.settles_in = self._seconds_left(progress.grace_since)
        _log.info(
            "prices_applied",
            shards=report.shards,
            pages=report.pages,
            repriced=report.repriced,
            finished=report.finished,
        )
        return report

    def _seconds_left(self, grace_since: int) -> int:
        return max(0, round(grace_since + GRACE_SECONDS - self._clock.timestamp()))

    def _plan_walk(self, progress: _Progress, table: PriceTable) -> bool:
        """Set the walk to start or to continue; return whether there is one."""
        now = int(self._clock.timestamp())
        if progress.walk is not None and progress.walk.table == table.fingerprint:
            return True
        applied = None if progress.prices is None else PriceTable(map(parse_price, progress.prices))
        if progress.walk is not None or applied is None or applied.fingerprint != table.fingerprint:
            # New prices interrupted a walk. Its progress is valid for the old prices only, so start again.
            known = () if applied is None or progress.walk is not None else applied.entries()
            hour = event_hour(_first_difference(known, table))
            progress.walk = _Walk(table.fingerprint, now, hour, 0)
            return True
        if progress.grace_since is not None and now >= progress.grace_since + GRACE_SECONDS:
            progress.walk = _Walk(
                table.fingerprint, now, event_hour(Millis(0)), progress.grace_since - OVERLAP_SECONDS
            )
            return True
        return False

    async def _resume(
        self, walk: _Walk, table: PriceTable, progress: _Progress, report: RepriceReport
    ) -> None:
        deadline = self._clock.monotonic() + self._budget
        written = asyncio.Lock()

        async def one(shard: ShardId) -> None:
            if self._clock.monotonic() >= deadline:
                report.finished = False
                return
            await self._reprice_shard(shard, walk, table, report)
            async with written:
                assert progress.walk is not None  # noqa: S101  it is set until all shards are done
                progress.walk = replace(progress.walk, done=(*progress.walk.done, shard))
                await self._write(progress)
                report.shards += 1

        await for_each(
            [shard for shard in self._shards if shard not in walk.done],
            one,
            max_concurrency=MAX_CONCURRENT_SHARDS,
        )

    async def _reprice_shard(
        self, shard: ShardId, walk: _Walk, table: PriceTable, report: RepriceReport
    ) -> None:
        async for page in self._pages(shard, EventHour(walk.hour), walk.since):
            report.pages += 1
            corrections = list(_corrections(page, table))
            if corrections:
                result = await self._writer.apply(shard, page.source, corrections)
                report.repriced += result.verdicts[Verdict.REPLACED]

    async def _pages(self, shard: ShardId, hour: EventHour, since: int) -> AsyncIterator[Page]:
        """Yield a shard's stored pages, without using or changing the cache."""
        async for item in self._reader.pages_written_since(shard, USER_INTERACTIONS, hour, since):
            yield Page.decode(item)

    async def _read(self) -> _Progress:
        item = await self._document.read()
        if item is None:
            return _Progress()
        walk = None if item["walk"] is None else _Walk.decode(item["walk"])
        return _Progress(item["prices"], walk, item["settling"])

    async def _write(self, progress: _Progress) -> None:
        """Store the progress of this run.

        Of two concurrent runs the last write wins. No harm: the shards of the other run are done again.
        """
        await self._document.save(
            {
                "prices": progress.prices,
                "walk": None if progress.walk is None else progress.walk.encode(),
                "settling": progress.grace_since,
            }
        )


def _corrections(page: Page, table: PriceTable) -> Iterator[Change]:
    for user_id, document_id, (version, fact) in page:
        if not isinstance(fact, InteractionFact):
            continue
        cost = table.cost(fact.model, fact.at, fact.tokens_in, fact.tokens_out)
        if cost != fact.cost:
            yield Change(user_id, document_id, version, replace(fact, cost=cost), reprices=True)


def _first_difference(applied: Sequence[ModelPrice], table: PriceTable) -> Millis:
    """Return the earliest moment from which the two tables may give different costs."""
    before: set[Any] = set(PriceTable(applied).entries())
    after: set[Any] = set(table.entries())
    return Millis(max(0, min((price.since for price in before ^ after), default=0)))
