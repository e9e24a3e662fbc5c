"""The change feed trigger rewrites texts that look like times. That changes nothing that the fleet does.

Queries return the texts as they were written, so what the feed counts and what an audit reads must agree.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.documents.times import canonical_text, parse_time
from shared.errors import DocumentError
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS
from shared.ingest.sources import SOURCES
from shared.poison.rows import poison_id
from shared.pricing.table import PriceTable, list_prices
from tests.independent.trigger import handed_on, rewritten

PRICES = PriceTable(list_prices())
SPECIFIED = json.loads((Path(__file__).parents[3] / "data/specification_documents.json").read_text())
DOCUMENTS = {
    USER_INTERACTIONS: SPECIFIED["user_interaction"],
    USER_SESSIONS: SPECIFIED["user_session"],
    ABUSE_INCIDENTS: SPECIFIED["abuse_incident"],
    USERS: SPECIFIED["user_profile"],
}

HOST_OFFSETS = st.sampled_from([0, 60, 330, -420, -210, 840])
digits = st.text("0123456789", min_size=0, max_size=10)


def two(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map("{:02}".format)


zones = st.one_of(
    st.sampled_from(["", "Z", "z", ":", "+", "-", "+00:00", "-00:00", "+05:30", "+0530", "-07"]),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from("+-"),
        two(0, 99),
        st.sampled_from(["", ":", "::"]),
        two(0, 99) | st.just(""),
    ),
    st.builds("{}{}".format, st.sampled_from(["", ":", " ", "Z"]), two(0, 99)),
)
fractions = st.one_of(
    st.just(""),
    st.builds("{}{}{}".format, st.sampled_from("...,"), digits, st.sampled_from(["", "0", "000"])),
)
isos = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.integers(1995, 2105),
    two(0, 13),
    two(0, 32),
    st.sampled_from("TTTTt X"),
    two(0, 25),
    two(0, 60),
    two(0, 60),
    fractions,
    zones,
)
likely = st.builds(
    "2025-08-{}T{}:{}:{}{}{}".format, two(1, 31), two(0, 24), two(0, 59), two(0, 59), fractions, zones
)
ticks = st.builds(
    "/Date({}{})/".format, st.integers(-(10**12), 4 * 10**12), st.sampled_from(["", "+0200", "-0700", "x"])
)
texts = st.one_of(likely, likely, isos, ticks)


@pytest.mark.parametrize(
    ("written", "delivered"),
    [
        ("2026-03-01T09:00:00.000Z", "2026-03-01T09:00:00Z"),
        ("2026-03-01T09:00:00.120Z", "2026-03-01T09:00:00.12Z"),
        ("2026-03-01T11:00:00+02:00", "2026-03-01T10:00:00+01:00"),
        ("/Date(1)/", "1970-01-01T00:00:00.001Z"),
        ("2026-03-01", "2026-03-01"),
        ("2026-03-01 09:00:00.000Z", "2026-03-01 09:00:00.000Z"),
        ("2026-03-01T09:00:00", "2026-03-01T09:00:00"),
        ("2026-03-01T09:00:00.12345678Z", "2026-03-01T09:00:00.12345678Z"),
    ],
)
def test_the_model_of_the_trigger_does_what_was_seen(written: str, delivered: str) -> None:
    assert rewritten(written, 60) == delivered


@settings(max_examples=1000)
@given(texts, HOST_OFFSETS)
def test_a_text_and_its_rewriting_have_one_form(text: str, host_offset: int) -> None:
    delivered = rewritten(text, host_offset)
    assert canonical_text(delivered) == canonical_text(text)
    assert canonical_text(canonical_text(text)) == canonical_text(text)
    if canonical_text(text) != text:
        assert rewritten(text, host_offset) != text or rewritten(text, 60) != text


@settings(max_examples=1000)
@given(texts, HOST_OFFSETS)
def test_a_time_and_its_rewriting_are_one_time(text: str, host_offset: int) -> None:
    assert time_or_refusal(rewritten(text, host_offset)) == time_or_refusal(text)


def time_or_refusal(text: str) -> object:
    try:
        return parse_time(text)
    except ValueError as error:
        return str(error)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every text in a document."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, name))


def outcome(source: str, document: Any) -> object:
    """Return everything that follows from a document: what is counted, or what is subtracted and why."""
    try:
        return SOURCES[source].to_change(document, PRICES, False)
    except DocumentError as error:
        uncounted = SOURCES[source].to_uncounted(document, error, False)
        return error.field, uncounted, poison_id(source, SOURCES[source].handler, document)


@pytest.mark.parametrize("source", DOCUMENTS)
@settings(max_examples=300)
@given(st.data(), HOST_OFFSETS)
def test_a_document_counts_the_same_with_such_texts_anywhere(
    source: str, data: st.DataObject, host_offset: int
) -> None:
    document = copy.deepcopy(DOCUMENTS[source])
    everywhere = st.sampled_from(sorted(places(document), key=str))
    for *parents, last in data.draw(st.lists(everywhere, min_size=1, max_size=4)):
        inside = document
        for name in parents:
            inside = inside[name]
        inside[last] = data.draw(texts)
    document |= {"_ts": 1_754_404_755, "_etag": '"1"'}  # the service's own
    delivered = handed_on(document, host_offset=host_offset)
    assume(delivered != document)
    assert outcome(source, delivered) == outcome(source, document)
