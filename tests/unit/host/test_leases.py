"""Lease documents have the .NET change feed processor's format and survive a round trip."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.leases import FeedRange, Lease, covers, lease_prefix

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
        "timestamp": "2026-01-02T04:00:00.0000000Z",
        "Mode": "Incremental Feed",
    }


def test_without_timestamp_the_services_own_counts() -> None:
    document = {**WRITTEN_BY_DOTNET, "timestamp": None}
    assert Lease.from_document(document).timestamp == datetime.fromtimestamp(1767323045, UTC)


def test_a_lease_without_feed_range_is_refused() -> None:
    with pytest.raises(ValueError, match="no FeedRange"):
        Lease.from_document({**WRITTEN_BY_DOTNET, "FeedRange": None})


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
