"""Partials: their ids, and the document in which one is stored."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import MonthSummary, PersonRecord
from shared.aggregates.tally import Mean, Tally
from shared.ledger.partials import Partial, partial_id
from shared.ledger.shards import ShardId
from shared.units import Day, EventHour, Month
from tests.unit.shared.aggregates.fact_strategies import tallies
from tests.unit.shared.ledger.memory_shard import counted

TARGET = PartialKey("day", "2025-08-05")


@pytest.mark.parametrize(
    "key", ["2025-08-05", "202508|e45d45fe-3f1b", "ana@example.org", "a b_c:d.e", "x" * 200]
)
def test_a_key_that_an_id_may_hold_is_readable_in_it(key: str) -> None:
    assert partial_id(PartialKey("day", key)) == f"partial|day|{key}"


@pytest.mark.parametrize(
    "key", ["", "a/b", "a\\b", "a?b", "a#b", "अर्जुन", "a\n", "bob ", " ", "~a", "x" * 201]
)
def test_any_other_key_is_hashed(key: str) -> None:
    assert partial_id(PartialKey("day", key)) == f"partial|day|~{sha256(key.encode()).hexdigest()}"


keys = st.text(max_size=220) | st.text("ab/|~ ", max_size=4)


@given(keys)
def test_an_id_has_no_character_that_the_service_refuses(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._:|@ ~-]{1,254}[^ ]", partial_id(PartialKey("day", key)))


@given(keys, keys)
def test_different_keys_have_different_ids(one: str, other: str) -> None:
    same = partial_id(PartialKey("day", one)) == partial_id(PartialKey("day", other))
    assert same == (one == other)


def test_the_stored_document_holds_the_share_and_when_it_expires() -> None:
    partial = Partial(
        ShardId("1:0007"),
        TARGET,
        revision=3,
        state=counted("users", 2),
        ttl=60,
    )
    assert partial.encode() == {
        "id": "partial|day|2025-08-05",
        "shard": "1:0007",
        "kind": "partial",
        "aggregate": "day",
        "key": "2025-08-05",
        "revision": 3,
        "state": {"sums": {"users": 2}},
        "ttl": 60,
    }


def test_a_record_and_a_list_of_pages_are_stored_where_there_is_one() -> None:
    record = PersonRecord(pending=True)
    pages = {"users|2025-08-05T10": 4}
    stored = Partial(ShardId("1:0007"), TARGET, record=record, pages=pages).encode()
    assert (stored["record"], stored["pages"]) == ({"pending": True}, pages)
    assert not {"record", "pages"} & Partial(ShardId("1:0007"), TARGET).encode().keys()


def test_a_new_partial_is_empty_and_at_revision_zero() -> None:
    partial = Partial(ShardId("1:0007"), TARGET)
    assert (partial.revision, partial.pages, partial.record, bool(partial.state)) == (0, {}, None, False)


names = st.text(max_size=8)
records = st.none() | st.builds(
    PersonRecord,
    first_known=st.none() | st.just(Day("2025-07-05")),
    months=st.dictionaries(
        st.just(Month("202508")),
        st.builds(MonthSummary, st.integers(0), rating=st.builds(Mean, st.integers(0), st.integers(0))),
    ),
    pending=st.booleans(),
)


@given(keys, tallies, st.integers(0), st.integers(-1), records, st.dictionaries(names, st.integers(0)))
def test_a_partial_survives_being_stored(
    key: str,
    state: Tally,
    revision: int,
    ttl: int,
    record: PersonRecord | None,
    pages: dict[str, int],
) -> None:
    target = PartialKey("day", key)
    partial = Partial(ShardId("1:0007"), target, revision, state, ttl, record=record, pages=pages)
    stored = json.loads(json.dumps(partial.encode()))
    assert Partial.decode(stored | {"_etag": "e", "_ts": 5}) == partial


def test_what_changes_in_a_copy_does_not_change_the_original() -> None:
    partial = Partial(
        ShardId("1:0007"), TARGET, 3, counted("users", 2), ttl=60, record=PersonRecord(), pages={"p": 1}
    )
    before = partial.encode()
    copied = partial.copy()
    assert copied == partial
    assert copied.record is not None
    copied.state.add("users", 1)
    copied.record.index.add("users", "AAAA", EventHour("2025-08-05T10"))
    copied.record.accounts["u"] = {}
    copied.pages["q"] = 1
    assert partial.encode() == before


@pytest.mark.parametrize("name", ["passage", "भगवद्गीता", "論語"])
@pytest.mark.parametrize("counts", [1, 100, 10_000])
def test_the_weight_is_close_to_the_bytes_of_the_stored_document(counts: int, name: str) -> None:
    state = Tally()
    for number in range(counts):
        state.count("texts", f"{name}-{number}", 1000 + number)
    pages = {
        f"user_interactions|2025-08-05T10|{number}": 1_754_404_755_000 for number in range(counts // 100)
    }
    partial = Partial(ShardId("1:0007"), PartialKey("day", name * 5), state=state, pages=pages)
    system = {"_rid": "x" * 24, "_self": "x" * 70, "_etag": "x" * 38, "_attachments": "x" * 12, "_ts": 10**9}
    size = len(json.dumps(partial.encode() | system, separators=(",", ":"), ensure_ascii=False).encode())
    assert 0.9 * size <= partial.weight <= 1.25 * size
