"""The price table in force: list prices and operator overrides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import record_charge
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.queries import Query, run_query
from shared.cosmos.retries import is_transient
from shared.errors import PriceError
from shared.pricing.table import (
    ModelPrice,
    PriceTable,
    list_names,
    list_prices,
    parse_price,
    require_name,
)
from shared.privacy.forms import model_spelling
from shared.units import Millis, hash_key

LIFETIME_SECONDS = 60.0
"""Seconds for which an instance uses a table before it queries the overrides again: one query a minute."""

OVERRIDES = Query("price_overrides", "SELECT * FROM c ORDER BY c.id")

_log = structlog.get_logger(__name__)


class Overrides(NamedTuple):
    """What operators added to the price list: prices, and aliases with the models that they mean."""

    prices: list[ModelPrice]
    aliases: dict[str, str]

    def table(self) -> PriceTable:
        """Return the price table in force. The list prices of a model end with its first override."""
        starts: dict[str, Millis] = {}
        for price in self.prices:
            starts[price.key] = min(price.since, starts.get(price.key, price.since))
        listed = [
            price for price in list_prices() if price.key not in starts or price.since < starts[price.key]
        ]
        return PriceTable((*listed, *self.prices), list_names().with_aliases(self.aliases))

    def replaced_by(self, price: ModelPrice) -> list[ModelPrice]:
        """Return the prices in whose place an override would be in force."""
        table = self.table()
        model = table.model(price.key)
        before = table.price_of(model, price.since)
        listed = [
            later
            for later in table.entries()
            if later.key == model and later.since > price.since and later not in self.prices
        ]
        return listed if before is None else [before, *listed]


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
        self._changes = ControlDocument(container, Scope.PRICE_CHANGES, "overrides")
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
            self._table = overrides.table()
        self._expires = self._clock.monotonic() + self._lifetime
        return self._table

    async def overrides(self) -> Overrides:
        """Return the overrides. An invalid override is logged and omitted."""
        found = Overrides([], {})
        async for item in run_query(self._container, OVERRIDES, {}, partition_key=Scope.PRICES):
            try:
                if "alias" in item:
                    found.aliases[_spelling(item["alias"])] = _spelling(item.get("model"))
                else:
                    found.prices.append(parse_price(item))
            except PriceError as error:
                _log.error("price_override_unusable", override=item["id"], problem=str(error))
        return found

    async def changes(self) -> int:
        """Return how often the overrides were changed.

        A change that was reverted counts: instances may have used the prices in between. So read this before
        the overrides.
        """
        stored = await self._changes.read()
        return 0 if stored is None else int(stored["number"])

    async def _count_change(self) -> None:
        """Count a change, before it is made: one that fails then is looked at in vain, and none is missed."""
        await self._changes.update(
            lambda stored: {"number": 1 if stored is None else int(stored["number"]) + 1}
        )

    async def put(self, *prices: ModelPrice) -> list[str]:
        """Store overrides; return their ids. Each replaces an override of the same model and date.

        All of them are checked first: if one is refused, none is stored.

        Raises
        ------
        PriceError
            A price that one of them replaces has more tiers, or prices of more kinds of tokens; a name is an
            alias; or two of them are of the same model and date.
        """
        given = set[tuple[str, Millis]]()
        for price in prices:
            if (price.key, price.since) in given:
                raise PriceError(f"{price.model} has two prices from {price.effective_from.isoformat()} on")
            given.add((price.key, price.since))
        overrides = await self.overrides()
        aliases = overrides.table().names.aliases
        for price in prices:
            if price.key in aliases:
                meant = aliases[price.key]
                raise PriceError(f"{price.model} is an alias of {meant}: put the price of that model")
            for replaced in overrides.replaced_by(price):
                price.require_to_cover(replaced)
        await self._count_change()
        return [await self._put(price) for price in prices]

    async def _put(self, price: ModelPrice) -> str:
        item_id = await self._store(_price_id(price.key, price.since), price.dump())
        await self._delete_prices(price.key, price.since, but=item_id)
        return item_id

    async def remove(self, model: str, since: Millis) -> bool:
        """Delete the override of a model and date. Return False if there is none."""
        return await self._delete_prices(model_spelling(model), since)

    async def put_alias(self, name: str, model: str) -> str:
        """Let a name mean another model; return the id of the override.

        Raises
        ------
        PriceError
            The name is the model, or has a price of its own; or the model is an alias or has no price.
        """
        alias, meant = _spelling(name), _spelling(model)
        table = (await self.overrides()).table()
        if meant in table.names.aliases:
            raise PriceError(f"{model} is an alias itself, of {table.names.aliases[meant]}: name that model")
        if alias in table.models():
            raise PriceError(f"{name} has a price of its own: an alias would hide it")
        if table.model(meant) not in table.models():
            raise PriceError(f"{model} has no price: put one first")
        if table.model(meant) == alias:
            raise PriceError(f"{name} and {model} are one model")
        await self._count_change()
        return await self._store(_alias_id(alias), {"alias": alias, "model": table.model(meant)})

    async def remove_alias(self, name: str) -> bool:
        """Delete the alias of a name. Return False if no operator made one."""
        key, found = model_spelling(name), False
        async for item in run_query(self._container, OVERRIDES, {}, partition_key=Scope.PRICES):
            if "alias" in item and model_spelling(str(item["alias"])) == key:
                found = await self._delete(item["id"]) or found
        return found

    async def _store(self, item_id: str, body: Mapping[str, Any]) -> str:
        item = {"id": item_id, "scope": str(Scope.PRICES), **body}
        await self._container.upsert_item(item, response_hook=record_charge)
        self._expires = 0.0
        return item_id

    async def _delete_prices(self, key: str, since: Millis, *, but: str = "") -> bool:
        """Delete the overrides of a model and date, however they spell the model."""
        found = False
        async for item in run_query(self._container, OVERRIDES, {}, partition_key=Scope.PRICES):
            if "alias" in item or item["id"] == but:
                continue
            try:
                price = parse_price(item)
            except PriceError:
                continue  # overrides() logs it; it has no effect that could be removed
            if (price.key, price.since) == (key, since):
                found = await self._delete(item["id"]) or found
        return found

    async def _delete(self, item_id: str) -> bool:
        await self._count_change()
        try:
            await self._container.delete_item(item_id, Scope.PRICES, response_hook=record_charge)
        except CosmosResourceNotFoundError:
            return False
        self._expires = 0.0
        return True


def _spelling(name: object) -> str:
    try:
        return require_name(name if isinstance(name, str) else "")
    except ValueError as error:
        raise PriceError(f"{name!r} {error}") from None


def _price_id(key: str, since: Millis) -> str:
    """Return the id of an override. Milliseconds are in it where there are any."""
    seconds, millis = divmod(since, 1000)
    fraction = f".{millis:03d}" if millis else ""
    return f"{_in_id(key)}|{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}"


def _alias_id(alias: str) -> str:
    return f"alias|{_in_id(alias)}"


def _in_id(key: str) -> str:
    """Return a spelling as a part of an id, which cannot have a slash."""
    return key if "/" not in key else f"{key.replace('/', '_')}~{hash_key(key)}"
