"""Prices: integers per token, by date, prompt length and kind of token, overridable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import PriceError
from shared.pricing.names import NameRules
from shared.pricing.table import Cost, ModelPrice, PriceTable, list_names, list_prices, parse_price
from shared.pricing.tokens import Tokens
from shared.privacy.forms import model_spelling
from shared.units import Millis, NanoUSD
from tests.unit.shared.pricing.strategies import MODELS, TOKENS, WRITTEN, prices, tables

LISTED = PriceTable(list_prices())
FLASH, PRO = "gemini-2-5-flash", "gemini-2-5-pro"


def price(model: str, since: str, tokens_in: int, tokens_out: int, **more: Any) -> dict[str, Any]:
    tier = {"input_nano_usd_per_token": tokens_in, "output_nano_usd_per_token": tokens_out}
    return {"model": model, "effective_from": since, "tiers": [tier | more]}


def at(text: str) -> Millis:
    return Millis(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000))


def plain(tokens_in: int, tokens_out: int) -> Tokens:
    return Tokens(tokens_in, 0, 0, tokens_out, 0)


def amount(table: PriceTable, model: str, moment: str, tokens: Tokens) -> int | None:
    cost = table.cost(model, at(moment), tokens)
    return None if cost is None else cost.amount


def test_the_list_price_of_flash_is_the_published_one() -> None:
    million = 1_000_000
    assert amount(LISTED, FLASH, "2025-08-05", plain(million, 0)) == 300_000_000  # 0.30 USD
    assert amount(LISTED, FLASH, "2025-08-05", plain(0, million)) == 2_500_000_000  # 2.50 USD


def test_a_long_prompt_pays_the_long_prompt_price_for_all_its_tokens() -> None:
    assert amount(LISTED, PRO, "2025-08-05", plain(200_000, 1)) == 200_000 * 1250 + 10_000
    assert amount(LISTED, PRO, "2025-08-05", plain(200_001, 1)) == 200_001 * 2500 + 15_000


def test_a_cached_part_counts_for_the_length_of_the_prompt() -> None:
    assert amount(LISTED, PRO, "2026-01-01", Tokens(1, 200_000, 0, 1, 0)) == 2500 + 200_000 * 250 + 15_000


@pytest.mark.parametrize(
    ("model", "moment", "tokens", "nano"),
    [
        ("gemini-1-5-flash", "2024-07-01", plain(100_000, 0), 35_000_000),
        ("gemini-1-5-flash", "2024-07-01", plain(200_000, 10), 200_000 * 700 + 10 * 2100),
        ("gemini-1-5-flash", "2024-08-12", plain(100_000, 10_000), 10_500_000),
        ("gemini-1-5-pro", "2024-09-01", plain(100_000, 10_000), 455_000_000),
        ("gemini-1-5-pro", "2024-10-01", plain(100_000, 10_000), 175_000_000),
        ("gemini-3-8-flash", "2026-12-31", plain(1000, 100), 1000 * 750 + 100 * 3750),
        ("gemini-3-8-flash", "2027-01-01", plain(1000, 100), 1000 * 1500 + 100 * 7500),
    ],
)
def test_an_interaction_pays_the_list_price_of_its_own_day(
    model: str, moment: str, tokens: Tokens, nano: int
) -> None:
    assert amount(LISTED, model, moment, tokens) == nano


def test_a_price_holds_from_its_date_until_the_next() -> None:
    table = PriceTable(
        parse_price(entry)
        for entry in (price("m", "2025-01-01", 10, 20), price("m", "2025-06-01T00:00:00Z", 5, 6))
    )
    assert amount(table, "m", "2024-12-31", plain(1, 1)) is None
    assert amount(table, "m", "2025-05-31", plain(1, 1)) == 30
    assert amount(table, "m", "2025-06-01", plain(1, 1)) == 11
    assert amount(table, "n", "2025-06-01", plain(1, 1)) is None
    assert table.cost("m", at("2025-06-01"), None) is None


def test_before_its_first_price_a_version_costs_what_the_model_costs() -> None:
    table = PriceTable(
        parse_price(entry) for entry in (price("m", "2025-01-01", 10, 20), price("m-001", "2025-06-01", 5, 6))
    )
    assert table.model("m-001") == "m-001"
    assert amount(table, "m-001", "2025-05-31", plain(1, 1)) == 30
    assert amount(table, "m-001", "2025-06-01", plain(1, 1)) == 11


@given(tables(), st.sampled_from(WRITTEN), prices("n"), TOKENS)
def test_a_price_of_a_name_changes_nothing_before_its_date(
    table: PriceTable, written: str, later: ModelPrice, tokens: Tokens
) -> None:
    always = [parse_price(price(model, "1970-01-01", 1, 2)) for model in ("m-1.5", "n", "o")]
    table = PriceTable([*always, *table.entries()], table.names)
    spelling, before = model_spelling(written), Millis(later.since - 1)
    assume(before >= 0 and spelling not in table.names.aliases)
    priced = PriceTable([*table.entries(), later.model_copy(update={"model": written})], table.names)
    assert priced.model(spelling) == spelling
    assert priced.cost(spelling, before, tokens) == table.cost(table.model(spelling), before, tokens)


@pytest.mark.parametrize(
    "written",
    [
        "google/gemini-2.5-flash", "gemini-2.5-flash-001", "google/gemini-2.5-flash-001",
        "our-proxy-001", "google/our-proxy-001",
    ],
)  # fmt: skip
def test_before_its_first_price_a_name_costs_what_it_would_mean_without_one(written: str) -> None:
    names = list_names().with_aliases({"our-proxy": FLASH})
    table = PriceTable([*list_prices(), parse_price(price(written, "2026-06-01", 5, 6))], names)
    name = table.model(model_spelling(written))
    assert name == model_spelling(written)
    assert amount(table, name, "2026-05-31", plain(1, 1)) == 300 + 2500
    assert amount(table, name, "2026-06-01", plain(1, 1)) == 11


def test_aliases_in_a_circle_end() -> None:
    names = NameRules(aliases={"a": "b", "b": "a"})
    table = PriceTable([parse_price(price(name, "2026-06-01", 5, 6)) for name in ("a", "b")], names)
    assert amount(table, "a", "2026-05-31", plain(1, 1)) is None


def test_an_override_of_the_same_model_and_date_wins_in_any_spelling() -> None:
    entries = [parse_price(price(name, "2025-01-01", cost, 0)) for name, cost in (("m.1", 10), ("M_1", 7))]
    assert amount(PriceTable(entries), "m-1", "2025-02-01", plain(1, 0)) == 7
    assert PriceTable(entries).fingerprint == PriceTable(entries[1:]).fingerprint
    assert PriceTable(entries).fingerprint != PriceTable(entries[:1]).fingerprint


def test_a_kind_of_tokens_without_a_price_pays_as_input_and_the_cost_is_not_exact() -> None:
    table = PriceTable([parse_price(price("m", "2025-01-01", 10, 20))])
    moment = at("2025-02-01")
    assert table.cost("m", moment, Tokens(1, 2, 0, 1, 3)) == Cost(NanoUSD(30 + 80), False)
    assert table.cost("m", moment, Tokens(1, 0, 2, 1, 3)) == Cost(NanoUSD(30 + 80), False)
    assert table.cost("m", moment, Tokens(1, 0, 0, 1, 3)) == Cost(NanoUSD(10 + 80), True)


def test_kinds_of_tokens_pay_prices_of_their_own() -> None:
    kinds = {"cached_nano_usd_per_token": 3, "cache_write_nano_usd_per_token": 12}
    table = PriceTable([parse_price(price("m", "2025-01-01", 10, 20, **kinds))])
    assert table.cost("m", at("2025-02-01"), Tokens(1, 2, 4, 1, 3)) == Cost(NanoUSD(10 + 6 + 48 + 80), True)


def test_all_output_of_a_call_that_thinks_can_have_another_price() -> None:
    preview = "gemini-2-5-flash-preview-05-20"
    assert amount(LISTED, preview, "2025-06-01", Tokens(1000, 0, 0, 100, 0)) == 150_000 + 60_000
    assert amount(LISTED, preview, "2025-06-01", Tokens(1000, 0, 0, 100, 10)) == 150_000 + 110 * 3500


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (price("m", "2025-01-01", -1, 0), "input_nano_usd_per_token"),
        (price("m", "2025-01-01", 2.5, 0), "input_nano_usd_per_token"),  # type: ignore[arg-type]
        (price("m", "2025-01-01", 1, 0, cached_nano_usd_per_token="1"), "cached_nano_usd_per_token"),
        (price("m", "someday", 1, 0), "effective_from"),
        (price("m", "2025-01-01", 1, 0, up_to_input_tokens=5), "tiers"),
        (price("/", "2025-01-01", 1, 0), "model"),
        (price("m", "0001-01-01", 1, 0), "effective_from"),
        (price("m", "1970-01-01T00:00:00+01:00", 1, 0), "effective_from"),
        (price("m", "9999-12-31T23:59:59-10:00", 1, 0), "effective_from"),
        ({"effective_from": "2025-01-01", "tiers": []}, "model"),
    ],
)
def test_an_unusable_price_names_model_and_field(entry: dict[str, Any], field: str) -> None:
    with pytest.raises(PriceError, match=field):
        parse_price(entry)


@given(st.lists(TOKENS, max_size=20))
def test_the_cost_of_a_sum_is_the_sum_of_costs(calls: list[Tokens]) -> None:
    total = LISTED.cost(
        FLASH, at("2026-01-01"), Tokens(*map(sum, zip(*calls, strict=True))) if calls else plain(0, 0)
    )
    parts = [LISTED.cost(FLASH, at("2026-01-01"), call) for call in calls]
    assert total is not None
    assert total.amount == sum(part.amount for part in parts if part is not None)


@given(tables())
def test_a_stored_table_is_read_again(table: PriceTable) -> None:
    again = PriceTable.load(json.loads(json.dumps(table.dump())))
    assert again.fingerprint == table.fingerprint
    assert again.entries() == table.entries()


@given(tables(), tables(), st.sampled_from(WRITTEN), st.integers(0, 2_000_000_000_000), TOKENS)
def test_before_the_first_difference_both_tables_give_one_cost(
    one: PriceTable, other: PriceTable, written: str, moment: int, tokens: Tokens
) -> None:
    spelling, before = (
        one.model(model_spelling(written)),
        Millis(min(moment, one.first_difference(other) - 1)),
    )
    if before >= 0:
        assert other.model(model_spelling(written)) == spelling
        assert one.cost(spelling, before, tokens) == other.cost(spelling, before, tokens)


@given(st.sampled_from(MODELS).flatmap(lambda model: st.tuples(prices(model), prices(model))), TOKENS)
def test_a_price_that_covers_another_makes_no_exact_cost_inexact(pair: Any, tokens: Tokens) -> None:
    old, new = pair
    try:
        new.require_to_cover(old)
    except PriceError:
        return
    assert new.cost(tokens).exact or not old.cost(tokens).exact
    assert {tier.up_to_input_tokens for tier in new.tiers} >= {tier.up_to_input_tokens for tier in old.tiers}


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ({"up_to_input_tokens": 200_000}, {}, "up to 200,000 tokens and above"),
        ({"cached_nano_usd_per_token": 3}, {}, "a price for cached input"),
        ({"cache_write_nano_usd_per_token": 3}, {}, "a price for input written into a cache"),
        ({"thinking_output_nano_usd_per_token": 3}, {}, "a price for output of calls that think"),
    ],
)
def test_a_price_that_says_less_is_refused(old: dict[str, Any], new: dict[str, Any], missing: str) -> None:
    replaced = price("m", "2025-01-01", 1, 2, **old)
    if "up_to_input_tokens" in old:
        replaced["tiers"].append(price("m", "2025-01-01", 1, 2)["tiers"][0])
    with pytest.raises(PriceError, match=missing):
        parse_price(price("m", "2025-02-01", 1, 2, **new)).require_to_cover(parse_price(replaced))
