"""Price again what was counted, when prices have been added or corrected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.changes import Change, Verdict
from shared.cosmos import record_charge
from shared.facts import USER_INTERACTIONS, InteractionFact
from shared.folding import ShardFolder
from shared.ledger import Page
from shared.price_book import PriceBook
from shared.pricing import ModelPrice, PriceTable, list_prices, parse_price
from shared.settings import Settings
from shared.shards import ShardId
from shared.store import ShardStore
from shared.units import EventHour, Millis, event_hour

SCOPE = "pricing"
APPLIED = "applied"
"""Document of ``fleet_state`` that says under which prices everything was counted."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RepriceReport:
    """What a change of prices did."""

    changed: bool = False
    pages: int = 0
    repriced: int = 0


class Repricer:
    """Walks the ledger and corrects the cost of every fact whose price has changed."""

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        store: ShardStore,
        folder: ShardFolder,
        prices: PriceBook,
        settings: Settings,
    ) -> None:
        self._state = database.get_container_client("view_state")
        self._fleet_state: ContainerProxy = database.get_container_client("fleet_state")
        self._store = store
        self._folder = folder
        self._prices = prices
        self._prefix = f"{settings.generation}:"

    async def apply(self) -> RepriceReport:
        """Bring everything that was counted in line with the prices in force.

        Does nothing if they are those of the last run. Cut off in the middle, it starts over: facts that
        have their price already are left alone.
        """
        table = PriceTable((*list_prices(), *await self._prices.overrides()))
        applied = await self._applied()
        if applied is not None and PriceTable(applied).fingerprint == table.fingerprint:
            return RepriceReport()
        report = RepriceReport(changed=True)
        since = _first_difference(applied or (), table)
        for shard, page_ids in (await self._pages_since(event_hour(since))).items():
            for page_id in page_ids:
                report.pages += 1
                report.repriced += await self._reprice(shard, page_id, table)
        await self._fleet_state.upsert_item(
            {
                "id": APPLIED,
                "scope": SCOPE,
                "prices": [price.model_dump(mode="json") for price in table.entries()],
            },
            response_hook=record_charge,
        )
        _log.info("prices_applied", pages=report.pages, repriced=report.repriced)
        return report

    async def _applied(self) -> tuple[ModelPrice, ...] | None:
        try:
            item = await self._fleet_state.read_item(APPLIED, SCOPE, response_hook=record_charge)
        except CosmosResourceNotFoundError:
            return None
        return tuple(parse_price(entry) for entry in item["prices"])

    async def _pages_since(self, hour: EventHour) -> dict[ShardId, list[str]]:
        items = self._state.query_items(
            "SELECT c.shard, c.id FROM c WHERE c.kind = 'ledger' AND c.hour >= @hour",
            parameters=[{"name": "@hour", "value": hour}],
            response_hook=record_charge,
        )
        found: dict[ShardId, list[str]] = defaultdict(list)
        async for item in items:
            if item["shard"].startswith(self._prefix):
                found[ShardId(item["shard"])].append(item["id"])
        return found

    async def _reprice(self, shard: ShardId, page_id: str, table: PriceTable) -> int:
        page = (await self._store.load(shard, [page_id]))[page_id].document
        if not isinstance(page, Page) or page.source != USER_INTERACTIONS:
            return 0
        corrections = list(_corrections(page, table))
        if not corrections:
            return 0
        result = await self._folder.fold(shard, page.source, corrections)
        return result.verdicts[Verdict.REPLACED]


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
