"""Lease documents have the .NET change feed processor's format and survive a round trip."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.leases import FeedRange, Lease, covers, lease_prefix, range_id

WRITTEN_BY_DOTNET = {
    "id": "fold-acct.documents.azure.com_q0oIAA==_q0oIALS6YvQ=..-1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
    "version": 1,
    "_etag": '"0000-etag"',
    "LeaseToken": "-1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
    "FeedRange": {"Range": {"min": "", "max": "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"}},
    "Owner": "host-1",
    "ContinuationToken": '"4217"',
    "properties": {"custom": "kept"},
    "timestamp": "2026-01-02T03:04:05.1234567Z",
    "Mode": "Incremental Feed",
    "_rid": "q0oIALS6YvQBAAAAAAAAAA==",
    "_ts": 1767323045,
}


def test_a_dotnet_lease_is_read() -> None:
    lease = Lease.from_document(WRITTEN_BY_DOTNET)
    assert lease.feed_range == FeedRange("", "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF")
    assert lease.continuation == '"4217"'
    assert lease.owner == "host-1"
    assert lease.etag == '"0000-etag"'
    assert lease.timestamp == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)


def test_what_is_written_back_differs_only_where_it_was_changed() -> None:
    now = datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
    document = Lease.from_document(WRITTEN_BY_DOTNET).taken_by("host-2", "p", now).to_document()
    assert document == {
        "id": WRITTEN_BY_DOTNET["id"],
        "version": 1,
        "LeaseToken": WRITTEN_BY_DOTNET["LeaseToken"],
        "FeedRange": WRITTEN_BY_DOTNET["FeedRange"],
        "Owner": "host-2",
        "ContinuationToken": '"4217"',
        "properties": {"custom": "kept", "process": "p"},
        "timestamp": "2026-01-02T04:00:00Z",
        "Mode": "Incremental Feed",
    }


def test_without_timestamp_the_services_own_counts() -> None:
    document = {**WRITTEN_BY_DOTNET, "timestamp": None}
    assert Lease.from_document(document).timestamp == datetime.fromtimestamp(1767323045, UTC)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0, "04:05Z"), (120_000, "04:05.12Z"), (123_456, "04:05.123456Z"), (50, "04:05.00005Z")],
)
def test_a_time_is_written_as_dotnet_does(microseconds: int, text: str) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, microseconds, tzinfo=UTC)
    lease = Lease("a", "t", FeedRange("", "FF"), timestamp=moment)
    document = lease.to_document()
    assert document["timestamp"] == f"2026-01-02T03:{text}"
    assert Lease.from_document(document).timestamp == moment


def test_a_new_lease_has_every_property_of_the_processors() -> None:
    part = FeedRange("", "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF")
    assert Lease("p..t", part.token, part).to_document() == {
        "id": "p..t",
        "version": 1,
        "LeaseToken": "-1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
        "FeedRange": {"Range": {"min": "", "max": "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"}},
        "Owner": None,
        "ContinuationToken": None,
        "properties": {},
        "timestamp": None,
        "Mode": "Incremental Feed",
    }


OLDER = {"id": "p..7", "LeaseToken": "7", "Owner": "host-1", "ContinuationToken": '"9"', "_ts": 1767323045}
"""Written by a processor that knew neither versions nor feed ranges."""


def test_a_lease_without_feed_range_is_refused_unless_the_range_is_known() -> None:
    with pytest.raises(ValueError, match="no FeedRange"):
        Lease.from_document(OLDER)
    assert range_id(OLDER) == "7"
    assert range_id(WRITTEN_BY_DOTNET) is None
    lease = Lease.from_document(OLDER, FeedRange("10", "20"))
    assert lease.to_document() == {
        "id": "p..7",
        "version": 0,
        "LeaseToken": "7",
        "FeedRange": {"Range": {"min": "10", "max": "20"}},
        "Owner": "host-1",
        "ContinuationToken": '"9"',
        "properties": {},
        "timestamp": "2026-01-02T03:04:05Z",
    }


def test_before_version_3_the_token_was_the_partition_id() -> None:
    document = {name: value for name, value in OLDER.items() if name != "LeaseToken"} | {"PartitionId": "7"}
    written = Lease.from_document(document, FeedRange("10", "20")).to_document()
    assert (written["LeaseToken"], written["PartitionId"]) == ("7", "7")


def test_a_lease_is_free_without_owner_or_after_its_expiration() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    held = Lease("a", "t", FeedRange("", "FF"), owner="me", timestamp=now - timedelta(seconds=60))
    assert not held.is_free(now, 60)
    assert held.is_free(now + timedelta(seconds=1), 60)
    assert Lease("a", "t", FeedRange("", "FF"), timestamp=now).is_free(now, 60)


def test_the_prefix_is_the_processors() -> None:
    assert lease_prefix("fold-", "acct.documents.azure.com", "db==", "coll=") == (
        "fold-acct.documents.azure.com_db==_coll="
    )


@given(st.lists(st.integers(1, 254), min_size=1, max_size=6, unique=True), st.randoms())
def test_ranges_that_meet_cover_the_whole_and_one_missing_leaves_a_gap(
    cuts: list[int], order: random.Random
) -> None:
    bounds = ["", *(f"{cut:02X}" for cut in sorted(cuts)), "FF"]
    ranges = [FeedRange(low, high) for low, high in itertools.pairwise(bounds)]
    order.shuffle(ranges)
    assert covers(ranges, FeedRange("", "FF"))
    missing = ranges.pop()
    assert not covers(ranges, FeedRange("", "FF"))
    assert not covers(ranges, missing)


def test_intersection() -> None:
    whole = FeedRange("", "FF")
    assert whole.intersection(FeedRange("80", "FF")) == FeedRange("80", "FF")
    assert FeedRange("", "80").intersection(FeedRange("80", "FF")) is None
