"""Price again what was counted, when prices have been added or corrected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import for_each
from shared.cosmos.control import ControlDocument, Scope
from shared.facts import USER_INTERACTIONS, InteractionFact
from shared.ledger.apply import ShardFolder
from shared.ledger.changes import Change, Verdict
from shared.ledger.pages import Page
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId, all_shards
from shared.pricing.price_book import LIFETIME_SECONDS, PriceBook
from shared.pricing.table import ModelPrice, PriceTable, list_prices, parse_price
from shared.settings import Settings
from shared.units import EventHour, Millis, event_hour

BUDGET_SECONDS = 240.0
"""How long one run may take: less than the five minutes between two. The next one goes on."""

MAX_CONCURRENT_SHARDS = 8

GRACE_SECONDS = LIFETIME_SECONDS + 660
"""So long after a table came into force instances may fold with the one before: they keep it for a minute,
and an invocation lasts ten (``functionTimeout``), one to spare. Then what they folded is looked at again."""

OVERLAP_SECONDS = 120
"""What was written so long before a walk began is looked at again, for clocks that differ."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RepriceReport:
    """What a run did."""

    changed: bool = False
    """Whether there was anything to do."""
    shards: int = 0
    pages: int = 0
    repriced: int = 0
    finished: bool = True
    """False if the time was up: the next run goes on."""
    settles_in: int = 0
    """Seconds until what instances counted meanwhile, at the prices before, can be looked at."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """A walk over the ledger, so far as it is done."""

    table: str
    """Fingerprint of the prices that it brings about."""
    began: int
    hour: str
    """Pages of this hour and later may have to change."""
    since: int
    """Only pages written from then on, in seconds since the epoch; 0 for all."""
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
    def decode(cls, stored: Mapping[str, Any]) -> _Pass:
        return cls(stored["table"], stored["began"], stored["hour"], stored["since"], tuple(stored["done"]))


@dataclass(slots=True)
class _Progress:
    """The document of a generation.

    Attributes
    ----------
    prices
        Those under which everything was counted when the last walk ended.
    walk
        The walk that is under way, None if there is none.
    grace_since
        When the walk began after which instances may still have counted at other prices; None once that was
        looked at.
    """

    prices: Sequence[Mapping[str, Any]] | None = None
    walk: _Pass | None = None
    grace_since: int | None = None


class Repricer:
    """Walks the ledger and corrects the cost of every fact whose price has changed.

    Two at once do the same work twice, and no harm: a fact that has its price is left alone.

    """

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        folder: ShardFolder,
        prices: PriceBook,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self._reader = StateReader(database.get_container_client("view_state"))
        self._document = ControlDocument(
            database.get_container_client("fleet_state"), Scope.PRICING, f"applied-{settings.generation}"
        )
        self._folder = folder
        self._prices = prices
        self._shards = all_shards(shards=settings.shards, generation=settings.generation)
        self._clock = clock
        self._budget = budget_seconds

    async def apply(self) -> RepriceReport:
        """Go on bringing everything that was counted in line with the prices in force, as far as time allows.

        Raises
        ------
        CosmosHttpResponseError, ConflictError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. What was corrected stays so; the next goes on.
        """
        table = PriceTable((*list_prices(), *await self._prices.overrides()))
        progress, report = await self._read(), RepriceReport()
        if not self._plan(progress, table):
            if progress.grace_since is not None:
                report.settles_in = max(
                    0, round(progress.grace_since + GRACE_SECONDS - self._clock.timestamp())
                )
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
                report.settles_in = max(
                    0, round(progress.grace_since + GRACE_SECONDS - self._clock.timestamp())
                )
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

    def _plan(self, progress: _Progress, table: PriceTable) -> bool:
        """Set the walk that has to be made or gone on with; say whether there is one."""
        now = int(self._clock.timestamp())
        if progress.walk is not None and progress.walk.table == table.fingerprint:
            return True
        applied = None if progress.prices is None else PriceTable(map(parse_price, progress.prices))
        if progress.walk is not None or applied is None or applied.fingerprint != table.fingerprint:
            # Of a walk that was broken off by other prices nobody knows how far it came: from the start.
            known = () if applied is None or progress.walk is not None else applied.entries()
            hour = event_hour(_first_difference(known, table))
            progress.walk = _Pass(table.fingerprint, now, hour, 0)
            return True
        if progress.grace_since is not None and now >= progress.grace_since + GRACE_SECONDS:
            progress.walk = _Pass(
                table.fingerprint, now, event_hour(Millis(0)), progress.grace_since - OVERLAP_SECONDS
            )
            return True
        return False

    async def _resume(
        self, walk: _Pass, table: PriceTable, progress: _Progress, report: RepriceReport
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
            [shard for shard in self._shards if shard not in walk.done], one, at_once=MAX_CONCURRENT_SHARDS
        )

    async def _reprice_shard(
        self, shard: ShardId, walk: _Pass, table: PriceTable, report: RepriceReport
    ) -> None:
        async for page in self._pages(shard, EventHour(walk.hour), walk.since):
            report.pages += 1
            corrections = list(_corrections(page, table))
            if corrections:
                result = await self._folder.fold(shard, page.source, corrections)
                report.repriced += result.verdicts[Verdict.REPLACED]

    async def _pages(self, shard: ShardId, hour: EventHour, since: int) -> AsyncIterator[Page]:
        """Yield a shard's pages as they stand; what instances keep in memory stays there."""
        async for item in self._reader.pages_written_since(shard, hour, since):
            if item["source"] == USER_INTERACTIONS:
                yield Page.decode(item)

    async def _read(self) -> _Progress:
        item = await self._document.read()
        if item is None:
            return _Progress()
        walk = None if item["walk"] is None else _Pass.decode(item["walk"])
        return _Progress(item["prices"], walk, item["settling"])

    async def _write(self, progress: _Progress) -> None:
        """Write how far this run is.

        Of two that run at once the last one wins, and does no harm: the shards of the other are done again.
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
            yield Change(user_id, document_id, version, replace(fact, cost=cost), corrects=True)


def _first_difference(applied: Sequence[ModelPrice], table: PriceTable) -> Millis:
    """Return the earliest moment from which the two tables may give different costs."""
    before: set[Any] = set(PriceTable(applied).entries())
    after: set[Any] = set(table.entries())
    return Millis(max(0, min((price.since for price in before ^ after), default=0)))
