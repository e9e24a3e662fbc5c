"""The index of a person's documents: whatever is added and discarded, the hours of each hash are found."""

from __future__ import annotations

import json
import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.document_index import DocumentIndex, document_hash, reference_hash
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS
from shared.units import EventHour, Month

SOURCES = st.sampled_from([USER_INTERACTIONS, USER_SESSIONS])
# Few hashes and hours, so that documents share both; the first and last codes of a month are among them.
HASHES = st.sampled_from(["----", "zzzz", "AAAA", "AAAB", document_hash(USER_INTERACTIONS, "i1")])
HOURS = st.sampled_from(
    ["2025-08-01T00", "2025-08-01T01", "2025-08-31T23", "2024-02-29T12", "2025-09-01T00"]
).map(EventHour)
Record = tuple[str, str, EventHour]
records: st.SearchStrategy[Record] = st.tuples(SOURCES, HASHES, HOURS)


def index_of(some: list[Record]) -> DocumentIndex:
    index = DocumentIndex()
    for record in some:
        index.add(*record)
    return index


@given(st.lists(records), st.lists(records))
def test_the_index_is_a_multiset_of_what_was_added_and_not_discarded(
    added: list[Record], discarded: list[Record]
) -> None:
    index, expected = index_of(added), Counter(added)
    for record in discarded:
        index.discard(*record)  # of what is absent too
        expected[record] = max(0, expected[record] - 1)
    for hashed in {record[1] for record in added + discarded}:
        hours = Counter(index.hours_of(hashed))
        assert hours == Counter(hour for _, each, hour in expected.elements() if each == hashed)
    months = {(source, Month(hour[:4] + hour[5:7])) for source, _, hour in expected.elements()}
    assert index.months() == months
    assert bool(index) is bool(months)


@given(st.lists(records).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_does_not_matter(orders: tuple[list[Record], list[Record]]) -> None:
    one, other = map(index_of, orders)
    assert one == other
    assert one.encode() == other.encode()


@given(st.lists(records))
def test_an_index_survives_being_stored_and_knows_its_size(some: list[Record]) -> None:
    index = index_of(some)
    stored = json.dumps(index.encode(), separators=(",", ":"))
    assert DocumentIndex.decode(json.loads(stored)) == index
    assert len(stored) - 2 <= index.weight <= len(stored) + 12


@given(st.lists(records, min_size=1), records)
def test_a_copy_is_independent(some: list[Record], another: Record) -> None:
    index = index_of(some)
    copied = index.copy()
    copied.add(*another)
    copied.discard(*some[0])
    assert index == index_of(some)


@given(st.lists(records), SOURCES, HOURS)
def test_a_month_of_a_source_is_dropped_and_nothing_else(
    some: list[Record], source: str, hour: EventHour
) -> None:
    index, month = index_of(some), Month(hour[:4] + hour[5:7])
    index.drop(source, month)
    left = [each for each in some if (each[0], each[2][:7]) != (source, hour[:7])]
    assert index == index_of(left)


def test_every_hour_of_a_month_is_told_apart() -> None:
    hours = [EventHour(f"2025-08-{day:02d}T{hour:02d}") for day in range(1, 32) for hour in range(24)]
    index = index_of([(USER_SESSIONS, "AAAA", hour) for hour in hours])
    assert sorted(index.hours_of("AAAA")) == hours


@given(st.text(max_size=300), st.text(max_size=300))
def test_hashes_of_documents_and_references_have_four_characters_of_an_id(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{4}", document_hash(one, other))
    assert re.fullmatch(r"[A-Za-z0-9_-]{4}", reference_hash(one, other))


def test_documents_of_different_sources_and_references_to_them_have_different_hashes() -> None:
    hashes = {
        document_hash(USER_INTERACTIONS, "1"),
        document_hash(USER_SESSIONS, "1"),
        document_hash(ABUSE_INCIDENTS, "1"),
        reference_hash(ABUSE_INCIDENTS, "1"),
    }
    assert len(hashes) == 4
