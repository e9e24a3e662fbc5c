"""Prices: integers per token, by date and prompt length, overridable."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PriceError
from shared.pricing.table import PriceTable, list_prices, parse_price
from shared.units import Millis


def price(model: str, since: str, tokens_in: int, tokens_out: int, **more: Any) -> dict[str, Any]:
    tier = {"input_nano_usd_per_token": tokens_in, "output_nano_usd_per_token": tokens_out}
    return {"model": model, "effective_from": since, "tiers": [tier | more]}


def at(text: str) -> Millis:
    return Millis(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000))


def test_the_list_price_of_flash_is_the_published_one() -> None:
    table = PriceTable(list_prices())
    million = 1_000_000
    assert table.cost("gemini-2.5-flash", at("2025-08-05"), million, 0) == 300_000_000  # 0.30 USD
    assert table.cost("gemini-2.5-flash", at("2025-08-05"), 0, million) == 2_500_000_000  # 2.50 USD


def test_a_long_prompt_pays_the_long_prompt_price_for_all_its_tokens() -> None:
    table = PriceTable(list_prices())
    assert table.cost("gemini-2.5-pro", at("2025-08-05"), 200_000, 1) == 200_000 * 1250 + 10_000
    assert table.cost("gemini-2.5-pro", at("2025-08-05"), 200_001, 1) == 200_001 * 2500 + 15_000


def test_a_price_holds_from_its_date_until_the_next() -> None:
    table = PriceTable(
        parse_price(entry)
        for entry in (price("m", "2025-01-01", 10, 20), price("m", "2025-06-01T00:00:00Z", 5, 6))
    )
    assert table.cost("m", at("2024-12-31"), 1, 1) is None
    assert table.cost("m", at("2025-05-31"), 1, 1) == 30
    assert table.cost("m", at("2025-06-01"), 1, 1) == 11
    assert table.cost("n", at("2025-06-01"), 1, 1) is None
    assert table.cost(None, at("2025-06-01"), 1, 1) is None


def test_an_override_of_the_same_model_and_date_wins() -> None:
    entries = [parse_price(price("m", "2025-01-01", cost, 0)) for cost in (10, 7)]
    assert PriceTable(entries).cost("m", at("2025-02-01"), 1, 0) == 7
    assert PriceTable(entries).fingerprint == PriceTable(entries[1:]).fingerprint
    assert PriceTable(entries).fingerprint != PriceTable(entries[:1]).fingerprint


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (price("m", "2025-01-01", -1, 0), "input_nano_usd_per_token"),
        (price("m", "2025-01-01", 2.5, 0), "input_nano_usd_per_token"),  # type: ignore[arg-type]
        (price("m", "someday", 1, 0), "effective_from"),
        (price("m", "2025-01-01", 1, 0, up_to_input_tokens=5), "tiers"),
        ({"effective_from": "2025-01-01", "tiers": []}, "model"),
    ],
)
def test_an_unusable_price_names_model_and_field(entry: dict[str, Any], field: str) -> None:
    with pytest.raises(PriceError, match=field):
        parse_price(entry)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5)), max_size=20))
def test_the_cost_of_a_sum_is_the_sum_of_costs(calls: list[tuple[int, int]]) -> None:
    table, moment = PriceTable(list_prices()), at("2025-08-05")
    total = table.cost("gemini-2.5-flash", moment, sum(i for i, _ in calls), sum(o for _, o in calls))
    assert total == sum(table.cost("gemini-2.5-flash", moment, i, o) or 0 for i, o in calls)
