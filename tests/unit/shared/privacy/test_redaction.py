"""Copies of documents: nothing that the place may not hold is left, wherever in the document it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import DocumentError
from shared.ingest.sources import SOURCES
from shared.pricing.table import PriceTable, list_prices
from shared.privacy.classes import Place, may_go
from shared.privacy.fields import field_of
from shared.privacy.forms import Form, fits, label
from shared.privacy.redaction import redact
from tests.unit.docs.test_pricing import names_of_kinds
from tests.unit.shared.privacy.samples import SAMPLES, blocks, changed, leaves, named

CANARY = "Canary Erika has told us, 4711@example.org"
PRICES = PriceTable(list_prices())

PLACES = [(source, path) for source, sample in SAMPLES.items() for path in leaves(sample)]
OBJECTS = [(source, path) for source, sample in SAMPLES.items() for path in blocks(sample)]
WRAPPED = st.sampled_from(
    [
        lambda value: value,
        lambda value: [value],
        lambda value: [[value]],
        lambda value: {value: value},
        lambda value: {"text": value},
        lambda value: [{value: [value]}],
    ]
)


@given(st.sampled_from(PLACES), WRAPPED)
def test_a_sentence_survives_nowhere_but_as_an_identifier(place: tuple[str, Any], wrapped: Any) -> None:
    source, path = place
    copy = redact(source, changed(SAMPLES[source], path, wrapped(CANARY)), Place.POISON)
    if field_of(source, named(path)).form is not Form.IDENTIFIER:
        assert "Canary" not in json.dumps(copy.document)
        assert "4711" not in json.dumps(copy.document)
    assert "Canary" not in json.dumps(sorted(copy.paths))


@given(st.sampled_from(OBJECTS), st.text(min_size=1), WRAPPED)
def test_a_field_that_is_not_known_survives_nowhere(place: tuple[str, Any], name: str, wrapped: Any) -> None:
    source, path = place
    name = f"unknown {name}"
    sample = SAMPLES[source]
    document = changed(sample, (*path, name), wrapped(CANARY))
    copy = redact(source, document, Place.POISON)
    assert copy.document == redact(source, sample, Place.POISON).document
    assert ".".join((*(part for part in path if isinstance(part, str)), "*")) in copy.paths


@pytest.mark.parametrize("source", SAMPLES)
def test_what_may_be_kept_is_kept(source: str) -> None:
    sample = SAMPLES[source]
    copy: Any = redact(source, sample, Place.POISON).document
    for path in leaves(sample):
        field, value, kept = field_of(source, named(path)), sample, copy
        if may_go(field.field_class, Place.POISON) and fits(field.form, value):
            for part in path:
                value, kept = value[part], kept[part]  # type: ignore[index]
            assert kept == value


@pytest.mark.parametrize("document", [None, 7, CANARY, [CANARY], b"Canary"])
def test_what_is_no_object_is_described(document: object) -> None:
    copy = redact("users", document, Place.POISON)
    assert copy.paths == {"document"}
    assert "Canary" not in str(copy.document)


RESOURCE = "projects/p/locations/europe-west4/publishers/google/models/gemini-2.0-flash@001"
SPELLINGS = st.sampled_from(
    [
        "",
        "a" * 300,
        CANARY,
        "leadership",
        "Self, and service",
        "models/gemini",
        RESOURCE,
        "ann@example.org",
        None,
    ]
)


@given(st.sampled_from([place for place in PLACES if place[0] != "users"]), SPELLINGS)
def test_a_copy_counts_as_its_document(place: tuple[str, Any], value: str | None) -> None:
    """A replayed copy adds the same fact, so that figures do not depend on what a row may hold."""
    source, path = place
    # A chapter or verse with other signs than names have is told as a text, and counts as unknown.
    assume(value != "Self, and service" or field_of(source, named(path)).form is not Form.NUMERAL)
    document = changed(SAMPLES[source], path, value)
    copy = redact(source, document, Place.POISON).document
    assert _fact(source, copy) == _fact(source, document)


@pytest.mark.parametrize(
    "usage",
    [
        *({name: 20} for name in names_of_kinds() if "." not in name),
        *({outer: {inner: 20}} for outer, _, inner in (n.partition(".") for n in names_of_kinds()) if inner),
        {"usage_metadata": {"thoughtsTokenCount": 20, "totalTokenCount": 170}},
    ],
    ids=str,
)
def test_a_copy_has_the_kinds_of_tokens_of_its_document(usage: dict[str, Any]) -> None:
    known = {"input_tokens": 100, "output_tokens": 50, "model_used": "gemini-2.5-flash"}
    document = SAMPLES["user_interactions"] | {"cost_data": known | usage}
    copy = redact("user_interactions", document, Place.POISON)
    assert _fact("user_interactions", copy.document) == _fact("user_interactions", document)


def _fact(source: str, document: object) -> object:
    """Return the fact of a document, the field of its error if it cannot be counted."""
    try:
        return SOURCES[source].to_change(document, PRICES, False).fact
    except DocumentError as error:
        return error.field


def test_a_description_is_no_name() -> None:
    copy: Any = redact("users", {"locale": CANARY}, Place.POISON).document
    assert not fits(Form.NAME, copy["locale"])
    assert label(copy["locale"]) != copy["locale"]
