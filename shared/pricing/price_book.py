"""The price table in force: list prices and operator overrides."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import record_charge
from shared.cosmos.control import Scope
from shared.cosmos.queries import Query, run_query
from shared.cosmos.retries import is_transient
from shared.errors import PriceError
from shared.pricing.table import ModelPrice, PriceTable, list_prices, parse_price

LIFETIME_SECONDS = 60.0
"""Seconds for which an instance uses a table before it queries the overrides again: one query a minute."""

OVERRIDES = Query("price_overrides", "SELECT * FROM c ORDER BY c.id")

_log = structlog.get_logger(__name__)


class PriceBook:
    """Loads and caches the price table."""

    def __init__(
        self,
        container: ContainerProxy,
        *,
        lifetime: float = LIFETIME_SECONDS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._container = container
        self._lifetime = lifetime
        self._clock = clock
        self._table: PriceTable | None = None
        self._expires = 0.0

    async def table(self) -> PriceTable:
        """Return the table in force.

        If the overrides cannot be read, the cached table stays in use. Without a cached table the error is
        raised.
        """
        if self._table is not None and self._clock.monotonic() < self._expires:
            return self._table
        try:
            overrides = await self.overrides()
        except Exception as error:
            if self._table is None or not is_transient(error):
                raise
            _log.warning("prices_not_refreshed", error_type=type(error).__name__)
        else:
            self._table = PriceTable((*list_prices(), *overrides))
        self._expires = self._clock.monotonic() + self._lifetime
        return self._table

    async def overrides(self) -> list[ModelPrice]:
        """Return the overrides. An invalid override is logged and omitted."""
        items = run_query(self._container, OVERRIDES, {}, partition_key=Scope.PRICES)
        prices: list[ModelPrice] = []
        async for item in items:
            try:
                prices.append(parse_price(item))
            except PriceError as error:
                _log.error("price_override_unusable", override=item["id"], problem=str(error))
        return prices

    async def put(self, price: ModelPrice) -> str:
        """Store an override; return its id. It replaces an override of the same model and date."""
        item = {
            "id": f"{price.model}|{_utc(price.effective_from):%Y-%m-%dT%H:%M:%S}",
            "scope": str(Scope.PRICES),
            **price.model_dump(mode="json"),
        }
        await self._container.upsert_item(item, response_hook=record_charge)
        self._expires = 0.0
        return str(item["id"])


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
