"""The tables and examples of docs/pricing.md are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.documents.interactions import CostData
from shared.documents.token_kinds import KINDS, MAX_TOKENS, TokenKind
from shared.facts.token_usage import token_usage
from shared.pricing.table import PriceTable, list_names, list_prices
from shared.privacy.forms import model_spelling

PAGE = (Path(__file__).parents[3] / "docs" / "pricing.md").read_text(encoding="utf-8")
LISTED = PriceTable(list_prices())

LABELS = {
    "thinking": TokenKind.THINKING,
    "reasoning": TokenKind.REASONING,
    "cached input": TokenKind.CACHED,
    "read from a cache": TokenKind.CACHE_READ,
    "written into a cache": TokenKind.CACHE_WRITTEN,
    "input from tools": TokenKind.TOOL_INPUT,
    "total": TokenKind.TOTAL,
}


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(text: str) -> list[str]:
    return re.findall("`([^`]+)`", text)


def names_of_kinds() -> list[str]:
    return [name for names, _ in ROWS.values() for name in names]


ROWS = {LABELS[label]: (quoted(names), place) for label, names, place in rows("Kinds of tokens")}


def test_every_name_of_every_kind_is_on_the_page() -> None:
    on_page = {name.replace("_", ""): kind for kind, (names, _) in ROWS.items() for name in names}
    assert on_page == KINDS
    assert f"from 0 to {MAX_TOKENS:,}" in " ".join(PAGE.split())


@pytest.mark.parametrize("kind", [kind for kind in LABELS.values() if kind is not TokenKind.TOTAL])
def test_a_kind_is_counted_where_the_page_says(kind: TokenKind) -> None:
    (name, *_), place = ROWS[kind]
    tokens = token_usage(CostData.model_validate({"input_tokens": 100, "output_tokens": 50, name: 20})).tokens
    assert tokens is not None
    assert sum(tokens) == (170 if place.startswith("not in") else 150)
    prompt = 120 if place == "not in `input_tokens`" else 100
    assert tokens.prompt == prompt


def test_the_examples_of_spellings_are_right() -> None:
    examples = re.findall(r"`([^`]+)` is\s+`([^`]+)`", section("Names of models"))
    assert len(examples) == 2
    for written, spelling in examples:
        assert model_spelling(written) == model_spelling(spelling)
        assert spelling.islower()
    (versions,) = re.findall(
        r"`([^`]+)`\s+and\s+`([^`]+)`\s+are\s+`gemini-2.5-pro`", section("Names of models")
    )
    assert {LISTED.model(model_spelling(written)) for written in versions} == {"gemini-2-5-pro"}


def test_every_date_of_the_price_list_has_its_source_on_the_page() -> None:
    dates = section("List prices and their dates")
    for price in LISTED.entries():
        if price.since:
            assert f"{price.effective_from:%Y-%m-%d}" in dates
            family = "gemini-2.5-flash" if price.model == "gemini-2.5-flash-lite" else price.model
            assert any(name == family or price.model.endswith(name) for name in quoted(dates))


def test_the_example_prefixes_are_known() -> None:
    for prefix in ("google/", "vertex_ai/"):
        assert f"`{prefix}`" in section("Names of models")
        assert model_spelling(prefix) in list_names().prefixes
