"""One function prices a fact: folding and repricing agree, and so does the independent computation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.interactions import parse_interaction
from shared.documents.token_kinds import KINDS, SAME_AS
from shared.facts import InteractionFact, interaction_fact, priced
from shared.pricing.table import PriceTable, list_prices, parse_price
from tests.independent import interactions as independent
from tests.independent.pricing import PRICES
from tests.unit.shared.pricing.strategies import WRITTEN, tables

LISTED = PriceTable(list_prices())
CASES = json.loads((Path(__file__).parent / "priced_cases.json").read_text(encoding="utf-8"))

AUGUST = "2025-08-05T10:00:00Z"


def document(cost_data: Any, moment: str = AUGUST, model: str | None = None) -> dict[str, Any]:
    return {
        "id": "i", "user_id": "ann", "timestamp": moment, "cost_data": cost_data,
        "response_metadata": {"model_used": model},
    }  # fmt: skip


def fact_of(raw: dict[str, Any], prices: PriceTable) -> InteractionFact:
    return interaction_fact(parse_interaction(raw), prices)


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC)).map(
    datetime.isoformat
)
COUNTS = st.none() | st.integers(0, 300) | st.sampled_from([200_000, 200_001, 128_000, 10**7])
USAGE = st.dictionaries(st.sampled_from([*KINDS, *SAME_AS, "audio_tokens"]), COUNTS, max_size=4)


@st.composite
def documents(draw: st.DrawFn, names: st.SearchStrategy[str | None]) -> dict[str, Any]:
    """Return interactions with any kinds of tokens, grouped as providers do."""
    usage: dict[str, Any] = {}
    for name, count in draw(USAGE).items():
        outer, _, inner = name.partition(".")
        if not inner:
            usage[outer] = count
        elif isinstance(usage.setdefault(outer, {}), dict):
            usage[outer][inner] = count
    usage |= {"input_tokens": draw(COUNTS), "output_tokens": draw(COUNTS)}
    known = [count for count in usage.values() if isinstance(count, int)]
    if draw(st.booleans()):
        usage["total_tokens"] = min(sum(known), 10**7)
    return document(usage | {"model_used": draw(names)}, draw(MOMENTS), draw(names))


NAMES = st.none() | st.sampled_from(["", "/", *WRITTEN])
LISTED_NAMES = st.none() | st.sampled_from(
    [
        "", "unknown", "models/Gemini_2.5 Flash", "google/gemini-2.5-pro-002",
        "gemini-2.5-flash-preview-05-20",
        "vertex_ai/gemini-1.5-flash-latest", "gemini-1.5-pro", "gemini-2.0-flash-exp", "x/gemini-2.5-pro",
        "gemini-3.1-flash-lite-preview", "google/gemini/oracle-001", "模型 1", "m" * 70,
        *PRICES,
    ]
)  # fmt: skip


@given(documents(NAMES), tables(), tables())
def test_folding_at_a_table_equals_folding_at_another_and_repricing(
    raw: dict[str, Any], first: PriceTable, then: PriceTable
) -> None:
    folded = fact_of(raw, then)
    assert priced(fact_of(raw, first), then) == folded
    stored = InteractionFact.decode("ann", json.loads(json.dumps(fact_of(raw, first).encode())))
    assert stored == fact_of(raw, first)
    assert priced(stored, then) == folded
    assert priced(folded, then) == folded


@given(documents(LISTED_NAMES))
def test_a_fact_costs_what_the_independent_computation_says(raw: dict[str, Any]) -> None:
    fact, bill = fact_of(raw, LISTED), independent.bill(raw)
    assert fact.model == independent.model_of(raw)
    assert (fact.cost, fact.exact, fact.total_differs) == (bill.cost, bill.exact, bill.total_differs)
    assert (fact.kinds.cached, fact.kinds.thinking) == (bill.cached, bill.thinking) if fact.kinds else True


@pytest.mark.parametrize("name", CASES)
def test_a_known_case_has_its_right_value(name: str) -> None:
    case = CASES[name]
    prices = PriceTable((*list_prices(), *map(parse_price, case.get("prices", []))))
    fact = fact_of(document(case["cost_data"], case.get("timestamp", AUGUST)), prices)
    assert (fact.cost, fact.exact, fact.model) == (case["cost"], case.get("exact", True), case["model"])
