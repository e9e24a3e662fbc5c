"""Partials: their ids, and the document in which one is stored."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.aggregates.tally import Tally
from shared.ledger.partials import Partial, partial_id
from shared.ledger.shards import ShardId

TARGET = PartialKey("month", "202508")


@pytest.mark.parametrize(
    "key", ["2025-08-05", "202508|e45d45fe-3f1b", "ana@example.org", "a b_c:d.e", "x" * 200]
)
def test_a_key_that_an_id_may_hold_is_readable_in_it(key: str) -> None:
    assert partial_id(PartialKey("day", key)) == f"partial|day|{key}"


@pytest.mark.parametrize("key", ["", "a/b", "a\\b", "a?b", "a#b", "अर्जुन", "a\n", "~a", "x" * 201])
def test_any_other_key_is_hashed(key: str) -> None:
    assert partial_id(PartialKey("day", key)) == f"partial|day|~{sha256(key.encode()).hexdigest()}"


keys = st.text(max_size=220) | st.text("ab/|~", max_size=4)


@given(keys)
def test_an_id_has_no_character_that_the_service_refuses(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._:|@ ~-]{1,255}", partial_id(PartialKey("day", key)))


@given(keys, keys)
def test_different_keys_have_different_ids(one: str, other: str) -> None:
    same = partial_id(PartialKey("day", one)) == partial_id(PartialKey("day", other))
    assert same == (one == other)


def test_the_stored_document_holds_the_share_and_when_it_expires() -> None:
    partial = Partial(
        ShardId("1:0007"),
        TARGET,
        revision=3,
        state=Tally({"sums": {"users": 2}}),
        ttl=60,
        newest=1_754_404_755,
    )
    assert partial.encode() == {
        "id": "partial|month|202508",
        "shard": "1:0007",
        "kind": "partial",
        "aggregate": "month",
        "key": "202508",
        "revision": 3,
        "state": {"sums": {"users": 2}},
        "newest": 1_754_404_755,
        "ttl": 60,
    }


def test_a_new_partial_is_empty_and_at_revision_zero() -> None:
    partial = Partial(ShardId("1:0007"), TARGET)
    assert (partial.revision, partial.newest, bool(partial.state)) == (0, 0, False)


amounts = st.integers(-(10**12), 10**12).filter(bool)
states = st.dictionaries(
    st.text(max_size=8), st.dictionaries(st.text(max_size=8), amounts, min_size=1, max_size=4), max_size=4
)


@given(keys, states, st.integers(0), st.integers(-1), st.integers(0))
def test_a_partial_survives_being_stored(
    key: str, state: dict[str, dict[str, int]], revision: int, ttl: int, newest: int
) -> None:
    partial = Partial(ShardId("1:0007"), PartialKey("day", key), revision, Tally(state), ttl, newest)
    stored = json.loads(json.dumps(partial.encode()))
    assert Partial.decode(stored | {"_etag": "e", "_ts": 5}) == partial


def test_what_is_counted_into_a_decoded_partial_does_not_change_the_stored_document() -> None:
    stored = Partial(ShardId("1:0007"), TARGET, state=Tally({"sums": {"users": 2}})).encode()
    Partial.decode(stored).state.add("users", 1)
    assert stored["state"] == {"sums": {"users": 2}}


def test_what_is_counted_into_a_copy_does_not_change_the_original() -> None:
    partial = Partial(ShardId("1:0007"), TARGET, revision=3, state=Tally({"sums": {"users": 2}}), ttl=60)
    copy = partial.copy()
    assert copy == partial
    copy.state.add("users", 1)
    assert partial.state.total("users") == 2
    assert copy.state.total("users") == 3


@pytest.mark.parametrize("counts", [1, 100, 10_000])
def test_the_weight_is_close_to_the_bytes_of_the_stored_document(counts: int) -> None:
    state = Tally({"texts": {f"passage-{number}": 1000 + number for number in range(counts)}})
    partial = Partial(ShardId("1:0007"), TARGET, state=state)
    system = {"_rid": "x" * 24, "_self": "x" * 70, "_etag": "x" * 38, "_attachments": "x" * 12, "_ts": 10**9}
    size = len(json.dumps(partial.encode() | system))
    assert 0.8 * size <= partial.weight <= 1.25 * size
