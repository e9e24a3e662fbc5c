"""One model has one name, however it is written, and two models with prices of their own stay two."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pricing.names import NameRules
from shared.pricing.table import PriceTable, list_names, list_prices
from shared.privacy.forms import MOST_WORDS, model_spelling
from tests.unit.shared.pricing.strategies import WRITTEN, tables

LISTED = PriceTable(list_prices())
MODELS = sorted({price.model for price in list_prices()})
VERSIONS = ["", "-001", "@002", "-latest", "-preview-06-05", "-preview-09-2025", "-2025-06-05", "-20250605"]
PATHS = [
    "", "models/", "google/", "gemini/", "vertex_ai/", "openrouter/google/", "Google/Models/",
    "projects/p-1/locations/us-central1/publishers/google/models/",
]  # fmt: skip


@st.composite
def spellings(draw: st.DrawFn, model: str) -> str:
    """Return a way in which a document may write a model's name."""
    versions = VERSIONS[:2] if "preview" in model else VERSIONS  # no model has two versions
    name = model + draw(st.sampled_from(versions))
    separator = draw(st.sampled_from(["-", "_", " ", ".", "--"]))
    if separator == " " and len(re.split("[-.]", name)) > MOST_WORDS:
        separator = "_"  # with more blanks it is a sentence
    if draw(st.booleans()):
        name = "".join(separator if c in "-." else c for c in name)
    name = "".join(c.upper() if draw(st.booleans()) else c for c in name)
    return draw(st.sampled_from(PATHS)) + name


@given(st.data(), st.sampled_from(MODELS))
def test_every_spelling_of_a_model_is_that_model(data: st.DataObject, model: str) -> None:
    written = data.draw(spellings(model))
    assert LISTED.model(model_spelling(written)) == model_spelling(model)


@pytest.mark.parametrize("model", MODELS)
def test_no_two_models_with_prices_of_their_own_are_merged(model: str) -> None:
    assert LISTED.model(model_spelling(model)) == model_spelling(model)
    assert len({model_spelling(other) for other in MODELS}) == len(MODELS)


@given(tables(), st.sampled_from(WRITTEN))
def test_a_name_is_found_in_one_step(table: PriceTable, written: str) -> None:
    model = table.model(model_spelling(written))
    has_price = model in table.models()
    assert table.model(model) == model or not has_price or model in table.names.aliases
    if model_spelling(written) in table.models() and model_spelling(written) not in table.names.aliases:
        assert model == model_spelling(written)


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("gemini-2.5-flash-preview-05-20", "gemini-2-5-flash-preview-05-20"),  # has a price of its own
        ("gemini-2.5-flash-lite-preview-06-17", "gemini-2-5-flash-lite"),
        ("gemini-3.1-flash-lite-preview", "gemini-3-1-flash-lite"),
        ("gemini-2.0-flash-exp", "gemini-2-0-flash-exp"),  # costs nothing, or is not known
        ("gemini-2.5-flash-preview-tts", "gemini-2-5-flash-preview-tts"),
        ("azure/gpt-4", "azure/gpt-4"),
        ("google/oracle-001", "oracle-001"),
        ("google", "google"),
    ],
)
def test_a_model_is_not_taken_for_another(written: str, model: str) -> None:
    assert LISTED.model(model_spelling(written)) == model


def test_an_alias_reaches_spellings_and_versions_of_its_name() -> None:
    table = PriceTable(list_prices(), list_names().with_aliases({"our/fast": "gemini-2-5-flash"}))
    for written in ("our/fast", "OUR/Fast", "our/fast-001", "google/our/fast"):
        assert table.model(model_spelling(written)) == "gemini-2-5-flash"


def test_rules_are_stored_and_read_again() -> None:
    assert NameRules.load(list_names().dump()) == list_names()
