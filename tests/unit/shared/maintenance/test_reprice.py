"""Prices that change: what was counted follows, in several runs if need be, and nothing is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.aggregates.person import Person
from shared.aggregates.person_month import PersonMonth
from shared.aggregates.tally import Tally
from shared.cosmos.retries import INVOCATION_SECONDS
from shared.errors import PriceError
from shared.ledger.pages import page_id
from shared.ledger.shards import shard_of
from shared.maintenance import reprice
from shared.maintenance.reprice import GRACE_SECONDS, Repricer
from shared.pricing.price_book import LIFETIME_SECONDS, PriceBook
from shared.pricing.table import parse_price
from shared.pricing.tokens import Tokens
from shared.units import EventHour, Millis, to_millis
from tests.fake_clock import FakeClock
from tests.fakes import Killed
from tests.unit.shared.delivery import Instance
from tests.unit.shared.world import World, interaction

HOUR = "2025-09-12T10:{:02d}:00Z"


def priced(nano: int, model: str = "oracle-1", since: str = "2025-01-01") -> Any:
    tier = {"input_nano_usd_per_token": nano, "output_nano_usd_per_token": 0}
    return parse_price({"model": model, "effective_from": since, "tiers": [tier]})


def question(number: int, model: str = "oracle-1") -> dict[str, Any]:
    usage = {"input_tokens": 100, "output_tokens": 1, "model_used": model}
    return interaction(number, HOUR.format(number), f"user{number % 5}", cost_data=usage)


class Office(World):
    """A world with prices."""

    def __init__(self) -> None:
        super().__init__()
        self.book = PriceBook(self.containers["fleet_state"])

    def repricer(self, budget: float = 60.0, monotonic: Callable[[], float] = time.monotonic) -> Repricer:
        return Repricer(
            database=self,  # type: ignore[arg-type]
            writer=Instance(self.state).writer,
            prices=self.book,
            settings=self.settings,
            clock=FakeClock(lambda: self.now, monotonic),
            budget_seconds=budget,
        )

    def cost(self) -> int | None:
        """Return what all questions to the model cost, None if none has a price."""
        costs = [cost.total for day in self.days() for cost in day.means_by("model_cost").values()]
        return sum(costs) if costs else None

    def models(self) -> dict[str, tuple[int, int]]:
        """Return cost and number of priced interactions by model."""
        found: Counter[str] = Counter()
        numbers: Counter[str] = Counter()
        for day in self.days():
            for model, cost in day.means_by("model_cost").items():
                found[model] += cost.total
                numbers[model] += cost.samples
        return {model: (found[model], numbers[model]) for model in found}

    def days(self) -> list[Tally]:
        """Return the shards' shares of all days."""
        items = self.state.items.values()
        return [Tally.decode(item["state"]) for item in items if item.get("aggregate") == "day"]

    def walk(self) -> dict[str, Any]:
        """Return the stored progress of the walk."""
        (stored,) = (
            item for key, item in self.containers["fleet_state"].items.items() if key[0] == "pricing"
        )
        return stored["walk"]


async def test_what_was_counted_follows_a_new_price() -> None:
    office = Office()
    await office.ingest(*(question(n) for n in range(30)))
    assert (await office.repricer().apply()).repriced == 0
    assert office.cost() is None
    await office.book.put(priced(7))
    report = await office.repricer().apply()
    assert (report.repriced, report.finished, office.cost()) == (30, True, 30 * 100 * 7)
    assert not (await office.repricer().apply()).changed
    await office.book.put(priced(9))
    assert (await office.repricer().apply()).repriced == 30
    assert office.cost() == 30 * 100 * 9


async def test_what_has_no_room_for_a_price_keeps_its_old_cost_and_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office()
    await office.ingest(*(question(n) for n in range(3)))
    await office.repricer().apply()
    await office.book.put(priced(7))
    monkeypatch.setattr(Person, "max_bytes", 0)
    monkeypatch.setattr(PersonMonth, "max_bytes", 0)
    report = await office.repricer().apply()
    assert (report.repriced, report.refused, report.finished, office.cost()) == (0, 3, True, None)


async def test_what_an_instance_counts_at_the_old_prices_meanwhile_is_looked_at_once_more() -> None:
    office = Office()
    await office.ingest(question(1))
    await office.book.put(priced(7))
    first = await office.repricer().apply()
    assert first.settles_in == pytest.approx(GRACE_SECONDS, abs=1)
    # The instance that folds in this test never learns of the override: its table is as old as can be.
    await office.ingest(question(2))
    assert not (await office.repricer().apply()).changed
    assert office.cost() == 100 * 7
    office.now = datetime.fromtimestamp(office.now.timestamp() + GRACE_SECONDS + 1, UTC)
    second = await office.repricer().apply()
    assert (second.repriced, office.cost(), second.settles_in) == (1, 2 * 100 * 7, 0)
    assert not (await office.repricer().apply()).changed


SINCE = ("2025-01-01", "2025-09-01T03:00:00Z", "2026-01-01")
STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(SINCE), st.integers(1, 2)),
    st.tuples(st.just("remove"), st.sampled_from(SINCE)),
    st.tuples(st.just("apply"), st.sampled_from([60.0, 0.0])),
    st.tuples(st.just("wait"), st.sampled_from([60, GRACE_SECONDS + 1])),
    st.tuples(st.just("count"), st.sampled_from([0, LIFETIME_SECONDS + INVOCATION_SECONDS])),
)
"""What operators, timers and instances do. An instance counts at the prices of some seconds ago."""

BEGIN = [("put", SINCE[0], 1), ("apply", 60.0), ("wait", GRACE_SECONDS + 1), ("apply", 60.0)]
END = [("apply", 60.0), *[("wait", GRACE_SECONDS + 1), ("apply", 60.0)] * 2]
"""The timer goes on until the grace period of the last walk is over, and did before the first step."""


def later_price_during_the_grace_period() -> list[tuple[Any, ...]]:
    changed = [("put", SINCE[0], 2), ("apply", 60.0), ("wait", 1), ("count", 30)]
    return [*changed, ("wait", 300), ("put", SINCE[2], 2), ("apply", 60.0)]


def price_that_was_taken_back() -> list[tuple[Any, ...]]:
    return [("put", SINCE[0], 2), ("wait", 60), ("count", 0), ("put", SINCE[0], 1)]


@given(st.lists(STEPS, min_size=3, max_size=12))
@example(later_price_during_the_grace_period())
@example(price_that_was_taken_back())
def test_in_the_end_everything_costs_what_the_last_prices_say(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(_ends_at_the_last_prices(steps))


async def _ends_at_the_last_prices(steps: list[tuple[Any, ...]]) -> None:
    office = Office()
    office.now = datetime(2026, 2, 1, tzinfo=UTC)
    tables = [(0.0, (await office.book.overrides()).table())]
    numbers: list[int] = []
    for kind, *details in [*BEGIN, *steps, *END]:
        if kind == "put":
            await office.book.put(priced(details[1], since=details[0]))
        elif kind == "remove":
            await office.book.remove("oracle-1", priced(1, since=details[0]).since)
        elif kind == "apply":
            office.state.write_from(int(office.now.timestamp()))
            await office.repricer(budget=details[0]).apply()
        elif kind == "wait":
            office.now += timedelta(seconds=details[0])
        else:
            then = office.now.timestamp() - details[0]
            office.folding.prices = [table for since, table in tables if since <= then][-1]
            office.state.write_from(int(office.now.timestamp()))
            numbers.append(len(numbers) * 2)  # hours on both sides of each date
            await office.ingest(hour(numbers[-1]))
        tables.append((office.now.timestamp(), (await office.book.overrides()).table()))
    last, costs = tables[-1][1], []
    for number in numbers:
        at = to_millis(datetime.fromisoformat(hour(number)["timestamp"]))
        cost = last.cost("oracle-1", at, Tokens(100, 0, 0, 1, 0))
        costs += [] if cost is None else [cost.amount]
    assert office.cost() == (sum(costs) if costs else None)


async def test_a_long_history_takes_several_runs_each_going_on_where_the_last_one_ended() -> None:
    office = Office()
    await office.ingest(*(question(n) for n in range(30)))
    await office.repricer().apply()
    await office.book.put(priced(7))
    reports = [await office.repricer(budget=0.0).apply()]
    assert (reports[0].finished, reports[0].shards, office.cost()) == (False, 0, None)
    office.walk()["done"] = ["1:0000"]  # a run that got through one shard
    last = await office.repricer().apply()
    assert (last.finished, last.shards) == (True, 1)
    assert 0 < (office.cost() or 0) < 30 * 100 * 7


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprice, "PAGES_PER_PIECE", 2)


def hour(number: int) -> dict[str, Any]:
    """Return a question of an hour of its own, all of one person: each is on a page of its own."""
    timestamp = f"2025-09-{1 + number // 24:02d}T{number % 24:02d}:30:00Z"
    return question(number) | {"user_id": "ann", "timestamp": timestamp}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("operation", ["query", "batch", "replace"])
@pytest.mark.parametrize("at", [1, 2, 3, 7])
async def test_a_run_that_dies_is_continued_at_the_piece_that_it_died_in(operation: str, at: int) -> None:
    office = Office()
    await office.ingest(*(hour(n) for n in range(21)))
    await office.repricer().apply()
    await office.book.put(priced(7))
    left = at

    def die(what: str, when: str) -> None:
        nonlocal left
        left -= (what, when) == (operation, "after")
        if not left:
            left = -1
            raise Killed

    failing = office.containers["fleet_state"] if operation == "replace" else office.state
    failing.fault = die
    with pytest.raises(Killed):
        await office.repricer().apply()
    walk, shard = office.walk(), shard_of("ann", shards=2, generation=1)
    first = walk["positions"].get(shard, "")
    left_over = [n for n in range(21) if page_of(n) >= first and shard not in walk["done"]]
    report = await office.repricer().apply()
    assert (report.finished, office.cost()) == (True, 21 * 100 * 7)
    assert report.pages == len(left_over)


def page_of(number: int) -> str:
    return page_id("user_interactions", EventHour(hour(number)["timestamp"][:13]))


@pytest.mark.usefixtures("small_pieces")
async def test_a_piece_is_the_most_that_a_run_does_beyond_its_time() -> None:
    office = Office()
    await office.ingest(*(hour(n) for n in range(21)))
    await office.repricer().apply()
    await office.book.put(priced(7))
    pages, runs = 0, 0
    while True:
        report = await office.repricer(budget=2.5, monotonic=count().__next__).apply()
        pages, runs = pages + report.pages, runs + 1
        if report.finished:
            break
        assert report.pages <= 2 * 2
    assert (pages, office.cost()) == (21, 21 * 100 * 7)
    assert runs > 5


@pytest.mark.usefixtures("small_pieces")
async def test_instances_share_a_walk() -> None:
    office = Office()
    people = [f"user{n}" for n in range(8)]
    await office.ingest(*(hour(n) | {"user_id": people[n % 8]} for n in range(160)))
    await office.repricer().apply()
    await office.book.put(priced(7))
    reports = await asyncio.gather(*(office.repricer().apply() for _ in range(2)))
    assert all(report.finished for report in reports)
    assert (sum(report.repriced for report in reports), office.cost()) == (160, 160 * 100 * 7)
    assert office.walk() is None


async def test_prices_that_change_during_a_walk_start_it_anew() -> None:
    office = Office()
    await office.ingest(*(question(n) for n in range(10)))
    await office.repricer().apply()
    await office.book.put(priced(7))
    await office.repricer(budget=0.0).apply()
    await office.book.put(priced(8))
    assert (await office.repricer().apply()).repriced == 10
    assert office.cost() == 10 * 100 * 8


async def test_two_runs_at_once_both_end_and_correct_everything_once() -> None:
    office = Office()
    await office.ingest(*(question(n) for n in range(30)))
    await office.repricer().apply()
    await office.book.put(priced(7))
    reports = await asyncio.gather(*(office.repricer().apply() for _ in range(3)))
    assert all(report.finished for report in reports)
    assert (sum(report.repriced for report in reports), office.cost()) == (30, 30 * 100 * 7)
    assert not (await office.repricer().apply()).changed


@pytest.mark.parametrize(
    ("written", "counted"),
    [("models/gemini-x", "gemini-x"), ("m" * 30, "m" * 30), ("our/x", "our/x")],
)
async def test_every_name_that_interactions_give_can_be_priced(written: str, counted: str) -> None:
    office = Office()
    await office.ingest(question(1, written))
    await office.book.put(priced(7, written))
    assert (await office.repricer().apply()).repriced == 1
    (day,) = office.days()
    assert day.means_by("model_cost") == {counted: (700, 1)}


async def test_interactions_without_a_model_are_priced_alike_by_folding_and_by_repricing() -> None:
    office = Office()
    await office.book.put(priced(7, "unknown"))
    nameless = [question(n) for n in range(3)]
    for document in nameless:
        del document["cost_data"]["model_used"]
    await office.ingest(nameless[0])
    await office.repricer().apply()
    assert office.cost() == 100 * 7
    office.folding.prices = (await office.book.overrides()).table()
    await office.ingest(nameless[0] | {"user_rating": 4}, *nameless[1:])
    assert office.cost() == 3 * 100 * 7
    office.now = datetime.fromtimestamp(office.now.timestamp() + GRACE_SECONDS + 1, UTC)
    assert (await office.repricer().apply()).repriced == 0
    assert office.cost() == 3 * 100 * 7


async def test_what_was_counted_follows_an_alias_and_its_removal() -> None:
    office = Office()
    await office.ingest(question(1), question(2, "our-proxy/fast"), question(3, "OUR_PROXY/fast-001"))
    await office.book.put(priced(7))
    await office.repricer().apply()
    assert office.models() == {"oracle-1": (700, 1)}
    await office.book.put_alias("our-proxy/fast", "Oracle 1")
    assert (await office.repricer().apply()).repriced == 2
    assert office.models() == {"oracle-1": (2100, 3)}
    assert await office.book.remove_alias("Our Proxy/Fast")
    assert (await office.repricer().apply()).repriced == 2
    assert office.models() == {"oracle-1": (700, 1)}


async def test_the_first_price_of_a_model_reaches_its_versions_of_any_time() -> None:
    office = Office()
    await office.ingest(question(1, "oracle-1-001"), question(2, "models/oracle-1"))
    await office.repricer().apply()
    await office.book.put(priced(7, since="2026-01-01"))  # later than both interactions
    assert (await office.repricer().apply()).repriced == 1
    requests = [day.counts("model_requests") for day in office.days()]
    assert sum(counts["oracle-1"] for counts in requests) == 2
    assert {model for counts in requests for model in counts} == {"oracle-1"}


async def test_an_override_that_is_removed_leaves_the_list_price() -> None:
    office = Office()
    await office.ingest(question(1, "gemini-2.0-flash-lite"))
    await office.book.put(priced(7, "gemini-2.0-flash-lite", "1970-01-01"))
    await office.repricer().apply()
    assert office.cost() == 700
    assert await office.book.remove("Gemini 2.0 Flash Lite", Millis(0))
    assert (await office.repricer().apply()).repriced == 1
    assert office.cost() == 100 * 75 + 300


async def test_an_override_is_known_by_its_moment_whatever_the_zone() -> None:
    office = Office()
    ids = {
        (await office.book.put(priced(7, since=since)))[0]
        for since in ("2026-01-01T00:00:00Z", "2026-01-01T05:00:00+05:00", "2026-01-01T00:00:00+05:00")
    }
    assert ids == {"oracle-1|2026-01-01T00:00:00", "oracle-1|2025-12-31T19:00:00"}


@pytest.mark.parametrize("model", ["m" * 31, "the model that we use at present"])
def test_a_price_of_what_is_no_name_is_refused(model: str) -> None:
    with pytest.raises(PriceError, match="model: Value error, is no name"):
        priced(1, model)


def test_a_price_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(PriceError, match=r"price of 'oracle-1': tiers.0.input_nano_usd_per_token"):
        priced(-1)
