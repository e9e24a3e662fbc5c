"""The price book: overrides replace list prices, and an outage leaves the last table in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import structlog.testing
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.cosmos.control import Scope
from shared.pricing.price_book import LIFETIME_SECONDS, PriceBook
from shared.pricing.table import parse_price
from shared.units import to_millis
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer

MODEL = "gemini-2.5-flash"
AUGUST = to_millis(datetime(2025, 8, 5, tzinfo=UTC))


def price(tokens_in: int, model: str = MODEL, since: str = "2025-07-01") -> dict[str, Any]:
    tier = {"input_nano_usd_per_token": tokens_in, "output_nano_usd_per_token": 0}
    return {"model": model, "effective_from": since, "tiers": [tier]}


class Book:
    """A price book on a container in memory, and its clock."""

    def __init__(self) -> None:
        self.container = FakeContainer("scope")
        self.seconds = 0.0
        self.book = self.another()

    def another(self) -> PriceBook:
        """Return the price book of another instance."""
        clock = FakeClock(lambda: self.seconds)
        return PriceBook(self.container, clock=clock)  # type: ignore[arg-type]

    def fail(self, status: int) -> None:
        def fault(operation: str, when: str) -> None:
            raise CosmosHttpResponseError(status_code=status, message="no")

        self.container.fault = fault

    async def cost(self) -> int | None:
        """Return the price of one input token."""
        return (await self.book.table()).cost(MODEL, AUGUST, 1, 0)


@pytest.fixture
def book() -> Book:
    return Book()


async def test_without_overrides_the_list_prices_are_in_force(book: Book) -> None:
    assert await book.cost() == 300
    assert await book.book.overrides() == []


async def test_an_override_is_in_force_at_once_for_the_instance_that_stored_it(book: Book) -> None:
    assert await book.cost() == 300
    assert await book.book.put(parse_price(price(5))) == f"{MODEL}|2025-07-01T00:00:00"
    assert await book.cost() == 5


async def test_an_override_of_the_same_model_and_date_is_replaced(book: Book) -> None:
    for tokens_in, since in (
        (5, "2025-07-01"),
        (6, "2025-07-01T00:00:00Z"),
        (7, "2025-07-01T02:00:00+02:00"),
    ):
        await book.book.put(parse_price(price(tokens_in, since=since)))
    ((scope, _),) = book.container.items
    assert scope == Scope.PRICES
    assert await book.cost() == 7


async def test_another_instance_reads_the_overrides_again_when_its_table_is_too_old(book: Book) -> None:
    assert await book.cost() == 300
    await book.another().put(parse_price(price(5)))
    book.seconds = LIFETIME_SECONDS - 1
    assert await book.cost() == 300
    assert book.container.requests.count("query") == 1
    book.seconds = LIFETIME_SECONDS
    assert await book.cost() == 5
    assert book.container.requests.count("query") == 2


async def test_an_outage_leaves_the_last_table_in_force(book: Book) -> None:
    await book.book.put(parse_price(price(5)))
    assert await book.cost() == 5
    book.fail(503)
    book.seconds += LIFETIME_SECONDS
    with structlog.testing.capture_logs() as logged:
        assert await book.cost() == 5
        assert await book.cost() == 5
    assert [entry["event"] for entry in logged] == ["prices_not_refreshed"]


async def test_an_outage_without_a_table_is_raised(book: Book) -> None:
    book.fail(503)
    with pytest.raises(CosmosHttpResponseError):
        await book.book.table()


async def test_an_error_that_does_not_pass_is_raised_though_there_is_a_table(book: Book) -> None:
    await book.book.table()
    book.fail(403)
    book.seconds += LIFETIME_SECONDS
    with pytest.raises(CosmosHttpResponseError):
        await book.book.table()


async def test_an_invalid_override_is_logged_and_left_out(book: Book) -> None:
    await book.book.put(parse_price(price(5)))
    await book.container.upsert_item({"id": "bad", "scope": str(Scope.PRICES), **price(-1)})
    with structlog.testing.capture_logs() as logged:
        overrides = await book.book.overrides()
    assert [override.model for override in overrides] == [MODEL]
    (entry,) = logged
    assert (entry["event"], entry["override"]) == ("price_override_unusable", "bad")
    assert "input_nano_usd_per_token" in entry["problem"]
