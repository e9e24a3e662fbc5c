"""Which of two versions of a document is newer, and when only the live document can tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.document_version import Version, VersionOrder

COUNTED = Version(ts=100, lsn=10, etag="counted")


@pytest.mark.parametrize(
    ("ts", "lsn", "order"),
    [
        (101, 11, VersionOrder.NEWER),
        (100, 11, VersionOrder.NEWER),  # two writes within one second
        (99, 9, VersionOrder.OLDER),
        (100, 9, VersionOrder.OLDER),
        (99, 11, VersionOrder.UNKNOWN),  # the clock was set back, or the container was restored
        (101, 9, VersionOrder.UNKNOWN),
        (101, 10, VersionOrder.UNKNOWN),  # one transaction wrote both
        (100, 10, VersionOrder.UNKNOWN),
        (99, 10, VersionOrder.UNKNOWN),
        (101, None, VersionOrder.UNKNOWN),
        (99, None, VersionOrder.UNKNOWN),
    ],
)
def test_time_and_sequence_number_must_not_contradict_each_other(
    ts: int, lsn: int | None, order: VersionOrder
) -> None:
    assert Version(ts, lsn, "delivered").order_against(COUNTED) is order


@pytest.mark.parametrize("ts", [99, 100, 101])
def test_against_a_version_without_a_sequence_number_only_the_live_document_can_tell(ts: int) -> None:
    assert Version(ts, 11, "delivered").order_against(Version(100, None, "counted")) is VersionOrder.UNKNOWN


@given(st.integers(), st.none() | st.integers(0))
def test_one_etag_is_one_version_whatever_else_is_stamped(ts: int, lsn: int | None) -> None:
    assert Version(ts, lsn, "counted").order_against(COUNTED) is VersionOrder.SAME


@given(st.integers(0), st.none() | st.integers(0))
def test_a_document_without_an_etag_is_older_than_every_version(ts: int, lsn: int | None) -> None:
    assert Version(ts, lsn, "").order_against(COUNTED) is VersionOrder.OLDER


versions = st.builds(Version, st.integers(0, 3), st.none() | st.integers(0, 3), st.sampled_from("abc"))


@given(versions, versions)
def test_the_order_of_two_versions_does_not_depend_on_which_was_counted(one: Version, other: Version) -> None:
    opposite = {VersionOrder.NEWER: VersionOrder.OLDER, VersionOrder.OLDER: VersionOrder.NEWER}
    order = one.order_against(other)
    assert other.order_against(one) is opposite.get(order, order)


def test_a_version_is_read_from_the_system_properties() -> None:
    document = {"id": "a", "_ts": 1_754_404_755, "_lsn": 42, "_etag": '"0000-1"'}
    assert Version.of(document) == Version(ts=1_754_404_755, lsn=42, etag='"0000-1"')


@pytest.mark.parametrize(
    "document",
    [{}, {"_ts": None, "_lsn": None, "_etag": None}, {"_ts": "1754404755", "_lsn": "42", "_etag": 7}],
)
def test_properties_that_are_missing_or_of_another_type_are_unknown(document: dict[str, Any]) -> None:
    assert Version.of(document) == Version(ts=0, lsn=None, etag="")


@given(st.builds(Version, st.integers(), st.none() | st.integers(), st.text()))
def test_a_version_survives_being_stored(version: Version) -> None:
    assert Version.decode(json.loads(json.dumps(version.encode()))) == version


def test_a_version_is_stored_as_a_list_of_time_sequence_number_and_etag() -> None:
    assert Version(ts=100, lsn=None, etag="e").encode() == [100, None, "e"]
