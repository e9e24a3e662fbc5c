"""The price book: overrides replace list prices, and an outage leaves the last table in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import structlog.testing
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.cosmos.control import Scope
from shared.errors import PriceError
from shared.pricing.price_book import LIFETIME_SECONDS, PriceBook
from shared.pricing.table import PriceTable, list_prices, parse_price
from shared.pricing.tokens import Tokens
from shared.privacy.forms import model_spelling
from shared.units import Millis, to_millis
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer

MODEL = "gemini-2-0-flash-lite"
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

    def stored(self) -> list[tuple[str, str]]:
        """Return partitions and ids of the stored overrides."""
        return [key for key in self.container.items if key[0] != Scope.PRICE_CHANGES]

    async def cost(self) -> int | None:
        """Return the price of one input token."""
        cost = (await self.book.table()).cost(MODEL, AUGUST, Tokens(1, 0, 0, 0, 0))
        return None if cost is None else cost.amount


@pytest.fixture
def book() -> Book:
    return Book()


async def test_without_overrides_the_list_prices_are_in_force(book: Book) -> None:
    assert await book.cost() == 75
    assert await book.book.overrides() == ([], {})


async def test_an_override_is_in_force_at_once_for_the_instance_that_stored_it(book: Book) -> None:
    assert await book.cost() == 75
    assert await book.book.put(parse_price(price(5))) == [f"{MODEL}|2025-07-01T00:00:00"]
    assert await book.cost() == 5


async def test_an_override_of_the_same_model_and_date_is_replaced(book: Book) -> None:
    for tokens_in, since in (
        (5, "2025-07-01"),
        (6, "2025-07-01T00:00:00Z"),
        (7, "2025-07-01T02:00:00+02:00"),
    ):
        await book.book.put(parse_price(price(tokens_in, since=since)))
    ((scope, _),) = book.stored()
    assert scope == Scope.PRICES
    assert await book.cost() == 7


async def test_overrides_of_one_second_are_two_and_of_one_moment_are_refused(book: Book) -> None:
    whole, half = "2025-07-01T10:00:00Z", "2025-07-01T10:00:00.500Z"
    ids = await book.book.put(parse_price(price(5, since=whole)), parse_price(price(6, since=half)))
    assert ids == [f"{MODEL}|2025-07-01T10:00:00", f"{MODEL}|2025-07-01T10:00:00.500"]
    assert [known.since for known in (await book.book.overrides()).prices] == [
        to_millis(datetime(2025, 7, 1, 10, 0, 0, micros, UTC)) for micros in (0, 500_000)
    ]
    before = book.stored()
    with pytest.raises(PriceError, match="two prices from"):
        await book.book.put(
            *(parse_price(price(7, since=since)) for since in (whole, "2025-07-01T12:00:00+02:00"))
        )
    assert book.stored() == before
    assert await book.book.remove(MODEL, Millis(AUGUST)) is False


async def test_another_instance_reads_the_overrides_again_when_its_table_is_too_old(book: Book) -> None:
    assert await book.cost() == 75
    await book.another().put(parse_price(price(5)))
    book.container.requests.clear()
    book.seconds = LIFETIME_SECONDS - 1
    assert await book.cost() == 75
    assert book.container.requests.count("query") == 0
    book.seconds = LIFETIME_SECONDS
    assert await book.cost() == 5
    assert book.container.requests.count("query") == 1


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
        overrides = (await book.book.overrides()).prices
    assert [override.model for override in overrides] == [MODEL]
    (entry,) = logged
    assert (entry["event"], entry["override"]) == ("price_override_unusable", "bad")
    assert "input_nano_usd_per_token" in entry["problem"]


@pytest.mark.parametrize(
    "alias",
    [{"alias": "x"}, {"alias": None, "model": "m"}, {"alias": "x", "model": 7}, {"alias": "/", "model": "m"}],
)
async def test_an_invalid_alias_is_logged_and_left_out(book: Book, alias: dict[str, Any]) -> None:
    await book.container.upsert_item({"id": "bad", "scope": str(Scope.PRICES), **alias})
    with structlog.testing.capture_logs() as logged:
        assert (await book.book.overrides()).aliases == {}
        assert await book.cost() == 75
    assert {entry["event"] for entry in logged} == {"price_override_unusable"}


async def test_an_alias_that_was_written_by_hand_is_read_in_any_spelling(book: Book) -> None:
    alias = {"alias": "Our/Fast", "model": "models/gemini-2.0-flash-lite"}
    await book.container.upsert_item({"id": "hand", "scope": str(Scope.PRICES), **alias})
    assert (await book.book.table()).model("our/fast") == MODEL
    assert await book.book.remove_alias("OUR/fast")
    assert not book.stored()


JULY = to_millis(datetime(2025, 7, 1, tzinfo=UTC))


async def test_a_price_that_leaves_out_a_length_of_the_prompt_is_refused(
    book: Book,
) -> None:
    with pytest.raises(PriceError, match=r"gemini-2.5-pro has prices by length of the prompt, up to 200,000"):
        await book.book.put(parse_price(price(5, "gemini-2.5-pro")))
    with pytest.raises(PriceError, match="has a price for cached input"):
        await book.book.put(parse_price(price(5, "gemini-2.5-flash", "2026-01-01")))
    assert not book.stored()


async def test_a_price_also_covers_the_list_prices_that_begin_after_it(book: Book) -> None:
    """In August 2025 the list has no price for cached input of this model; in October it has one."""
    with pytest.raises(PriceError, match="has a price for cached input"):
        await book.book.put(parse_price(price(5, "gemini-2.5-flash", "2025-08-01")))
    with pytest.raises(PriceError, match="prices by length"):
        await book.book.put(parse_price(price(5, "gemini-1.5-pro", "1970-01-01")))


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-1.5-flash", "gemini-3.8-flash"])
async def test_an_override_holds_until_the_next_one_though_list_prices_begin_after_it(
    book: Book, model: str
) -> None:
    for tokens_in, since in ((5, "2024-01-01"), (6, "2027-06-01")):
        item = {"id": since, "scope": str(Scope.PRICES), **price(tokens_in, model, since)}
        await book.container.upsert_item(item)
    table, key, token = await book.book.table(), model_spelling(model), Tokens(1, 0, 0, 0, 0)
    moments = [datetime(year, month, 15, tzinfo=UTC) for year in range(2023, 2029) for month in range(1, 13)]
    for moment in moments:
        cost = table.cost(key, to_millis(moment), token)
        assert cost is not None
        if moment.year >= 2024:
            assert cost.amount == (5 if moment < datetime(2027, 6, 1, tzinfo=UTC) else 6)
        else:
            assert cost == PriceTable(list_prices()).cost(key, to_millis(moment), token)


async def test_of_several_prices_none_is_stored_if_one_is_refused(book: Book) -> None:
    fine, refused = parse_price(price(5)), parse_price(price(5, "gemini-2.5-pro"))
    with pytest.raises(PriceError, match="prices by length"):
        await book.book.put(fine, refused)
    assert not book.stored()
    assert len(await book.book.put(fine, parse_price(price(6, "oracle-1")))) == 2
    assert len(book.stored()) == 2


@pytest.mark.parametrize("name", ["models/gemini-2.5-pro", "google/gemini-2.5-pro", "gemini-2.5-pro-001"])
async def test_what_a_price_replaces_is_found_in_any_spelling(book: Book, name: str) -> None:
    with pytest.raises(PriceError, match="prices by length"):
        await book.book.put(parse_price(price(5, name)))


async def test_a_price_replaces_the_override_of_the_same_model_and_date_in_any_spelling(
    book: Book,
) -> None:
    """Also one whose id was made in another way."""
    old = {"id": "gemini-2.0-flash-lite|2025-07-01T00:00:00", "scope": str(Scope.PRICES)}
    await book.container.upsert_item(old | price(5, "gemini-2.0-flash-lite"))
    assert await book.cost() == 5
    await book.book.put(parse_price(price(6, "Gemini 2.0 Flash Lite")))
    assert book.stored() == [(Scope.PRICES, f"{MODEL}|2025-07-01T00:00:00")]
    assert await book.cost() == 6


async def test_an_override_is_removed_in_any_spelling(book: Book) -> None:
    await book.book.put(parse_price(price(5)))
    assert not await book.book.remove(MODEL, Millis(JULY + 1))
    assert not await book.book.remove("gemini", JULY)
    assert await book.book.remove("Gemini_2.0_Flash_Lite", JULY)
    assert await book.cost() == 75
    assert not await book.book.remove(MODEL, JULY)


async def test_an_alias_is_stored_and_removed(book: Book) -> None:
    assert await book.book.put_alias("Our/Fast", "models/gemini-2.0-flash-lite") == (await alias_id(book))
    assert (await book.book.table()).model("our/fast") == MODEL
    assert await book.book.remove_alias("our/FAST")
    assert (await book.book.table()).model("our/fast") == "our/fast"
    assert not await book.book.remove_alias("our/fast")


async def alias_id(book: Book) -> str:
    ((_, item_id),) = book.stored()
    assert "/" not in item_id
    return str(item_id)


@pytest.mark.parametrize(
    ("name", "model", "problem"),
    [
        ("gemini-2.5-pro", "gemini-2.5-flash", "has a price of its own"),
        ("x", "y", "has no price"),
        ("x", "fast", "is an alias itself"),
        ("/", "gemini-2.5-pro", "is no name of a model"),
        ("x", " ", "is no name of a model"),
    ],
)
async def test_an_alias_that_would_hide_something_is_refused(
    book: Book, name: str, model: str, problem: str
) -> None:
    await book.book.put_alias("fast", MODEL)
    with pytest.raises(PriceError, match=problem):
        await book.book.put_alias(name, model)


async def test_an_alias_cannot_have_a_price(book: Book) -> None:
    await book.book.put_alias("fast", MODEL)
    with pytest.raises(PriceError, match="FAST is an alias of gemini-2-0-flash-lite"):
        await book.book.put(parse_price(price(5, "FAST")))


async def test_every_change_is_counted_and_one_that_is_reverted_as_two(book: Book) -> None:
    counted = [await book.book.changes()]
    await book.book.put(parse_price(price(5)), parse_price(price(6, "oracle-1")))
    counted.append(await book.another().changes())
    await book.book.put_alias("our/fast", MODEL)
    counted.append(await book.another().changes())
    await book.another().remove_alias("our/fast")
    counted.append(await book.another().changes())
    await book.another().remove(MODEL, JULY)
    counted.append(await book.book.changes())
    assert counted == sorted(set(counted))
    assert counted[1] == 1  # one command is one change


@pytest.mark.parametrize("change", ["put", "put_alias", "remove"])
async def test_a_change_is_counted_before_it_is_made(book: Book, change: str) -> None:
    await book.book.put(parse_price(price(5)))
    before, counted = await book.book.changes(), [0]

    def fault(operation: str, when: str) -> None:
        if operation in {"upsert", "delete"} and when == "before":
            (counter,) = (item for key, item in book.container.items.items() if key[0] == Scope.PRICE_CHANGES)
            counted.append(counter["number"])

    book.container.fault = fault
    if change == "put":
        await book.book.put(parse_price(price(6)))
    elif change == "put_alias":
        await book.book.put_alias("our/fast", MODEL)
    else:
        await book.book.remove(MODEL, JULY)
    assert counted[1:] == [before + 1]
