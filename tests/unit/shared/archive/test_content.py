"""Copies of documents: no secrets, the same fact, the same bytes, and the right day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.archive.content import RESTORED, Copy, copy_of
from shared.errors import DocumentError
from shared.ingest.sources import SOURCES
from shared.pricing.table import PriceTable, list_prices
from shared.privacy.keyring import KeyRing
from tests.sample_keys import HASH_KEYS
from tests.unit.shared.privacy.samples import SAMPLES, blocks, changed, leaves

RING = KeyRing.parse(HASH_KEYS)
PRICES = PriceTable(list_prices())
TS = 1_757_000_000
ARCHIVED = ("user_interactions", "user_sessions", "abuse_incidents")
PLACES = [(source, path) for source in ARCHIVED for path in leaves(SAMPLES[source])]
OBJECTS = [(source, path) for source in ARCHIVED for path in blocks(SAMPLES[source])]
SYSTEM = {"_rid": "r", "_self": "s", "_etag": '"e"', "_attachments": "a/", "_ts": TS, "_lsn": 7}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def stored(source: str, **more: Any) -> dict[str, Any]:
    return {**SAMPLES[source], **SYSTEM, **more}


def body_of(copy: Copy) -> dict[str, Any]:
    body = json.loads(copy.content)
    assert isinstance(body, dict)
    return body


@given(st.sampled_from(PLACES), VALUES)
def test_the_fact_of_a_copy_is_that_of_the_document(place: tuple[str, Any], value: Any) -> None:
    source, path = place
    assume(path[0] not in ("id", "user_id") or isinstance(value, str))
    document = {**changed(SAMPLES[source], path, value), **SYSTEM}
    try:
        wanted = SOURCES[source].to_change(document, PRICES, live=False)
    except DocumentError:
        return
    again = {**body_of(copy_of(source, document, RING)), **SYSTEM, RESTORED: {"at": "…", "day": "…"}}
    assert SOURCES[source].to_change(again, PRICES, live=False).fact == wanted.fact


@pytest.mark.parametrize("source", ARCHIVED)
def test_a_copy_has_everything_but_secrets_and_what_the_service_adds(source: str) -> None:
    document = stored(source, session_token="token")
    copy = copy_of(source, document, RING)
    assert body_of(copy) == {n: v for n, v in SAMPLES[source].items() if n != "session_token"}
    assert copy.left_out is (source != "user_sessions")


@given(st.sampled_from(OBJECTS), st.text(min_size=1), VALUES)
def test_a_field_that_is_not_in_the_table_is_left_out_and_reported(
    place: tuple[str, Any], name: str, value: Any
) -> None:
    source, path = place
    plain = copy_of(source, stored(source), RING)
    with_more = {**changed(SAMPLES[source], (*path, f"unknown {name}"), value), **SYSTEM}
    copy = copy_of(source, with_more, RING)
    assert copy.content == plain.content
    assert copy.left_out


@given(st.dictionaries(st.sampled_from(sorted({*SYSTEM, RESTORED} - {"_ts"})), VALUES))
def test_the_same_document_has_the_same_bytes_whenever_it_is_copied(other: Mapping[str, Any]) -> None:
    for source in ARCHIVED:
        document = dict(reversed(list(stored(source, **other).items())))
        assert copy_of(source, document, RING).content == copy_of(source, stored(source), RING).content


@pytest.mark.parametrize(
    ("source", "change", "day", "is_dated"),
    [
        ("user_interactions", {"timestamp": "2025-08-05T23:30:00-02:00"}, date(2025, 8, 6), True),
        ("user_interactions", {"timestamp": "soon", "created_at": "2025-08-04"}, date(2025, 8, 4), True),
        ("user_interactions", {"timestamp": None, "created_at": None}, date(2025, 9, 4), False),
        (
            "user_interactions",
            {"timestamp": "2027-01-01T00:00:00Z", "created_at": 5},
            date(2025, 9, 4),
            False,
        ),
        ("user_sessions", {"start_time": "2025-08-07T00:00:00Z"}, date(2025, 8, 7), True),
        ("abuse_incidents", {"created_at": "1999-01-01", "detection_metadata": 7}, date(2025, 9, 4), False),
        (
            "abuse_incidents",
            {"created_at": None, "detection_metadata": {"detection_timestamp": "2025-08-09T01:00:00Z"}},
            date(2025, 8, 9),
            True,
        ),
        ("user_interactions", {"schema_version": "9.0", "timestamp": "2025-08-03"}, date(2025, 8, 3), True),
    ],
)
def test_a_copy_is_dated_by_the_documents_own_time_or_else_by_its_last_write(
    source: str, change: Mapping[str, Any], day: date, is_dated: bool
) -> None:
    copy = copy_of(source, stored(source, **change), RING)
    assert (copy.day, copy.is_dated) == (day, is_dated)


def test_a_restored_document_without_a_time_is_dated_as_before() -> None:
    document = stored("user_interactions", timestamp=None, created_at=None)
    again = {**document, RESTORED: {"at": "2026-01-01T00:00:00Z", "day": "2025-09-04"}, "_ts": TS + 10**7}
    first, second = (copy_of("user_interactions", each, RING) for each in (document, again))
    assert (first.day, first.content) == (second.day, second.content)


@pytest.mark.parametrize(
    ("source", "document", "day"),
    [
        ("daily_metrics", {"id": "daily_metrics_20250805", "date": "2025-08-05"}, date(2025, 8, 5)),
        ("content_analytics", {"id": "c", "period_start": "2025-08-01T00:00:00Z"}, date(2025, 8, 1)),
    ],
)
def test_a_document_of_a_view_is_copied_whole(source: str, document: dict[str, Any], day: date) -> None:
    copy = copy_of(source, {**document, "anything": [1], **SYSTEM}, RING)
    assert body_of(copy) == {**document, "anything": [1]}
    assert (copy.day, copy.owner) == (day, "=none")


@pytest.mark.parametrize("user", ["user_4711", "a/b c@d.example", "अर्जुन", "u"])
def test_nothing_of_the_user_id_is_in_a_copy_about_a_person(user: str) -> None:
    prefix = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in user[:8])
    document = {
        "id": f"user_analytics_{prefix}_2025_W32",
        "partition_key": user,
        "user_id": user,
        "period_start": "2025-08-04T00:00:00Z",
        "more": {"list": [user, 1]},
        **SYSTEM,
    }
    copy = copy_of("user_analytics", document, RING)
    body, hashed = body_of(copy), RING.hash(user)
    assert body["user_id"] == body["partition_key"] == body["more"]["list"][0] == hashed.name
    assert body["id"] == copy.document_id == f"user_analytics_{hashed.digest[:16]}_2025_W32"
    assert copy.owner == f"=k{hashed.key_id}.{hashed.digest}"
    if len(user) > 1:
        assert user not in copy.content.decode()
        assert user[:8] not in copy.content.decode()
    odd = copy_of("user_analytics", {**document, "id": f"of {user}"}, RING)
    assert odd.document_id.startswith("user_analytics_")
    assert len(user) == 1 or user not in odd.content.decode()


@pytest.mark.parametrize("user", [None, 7, True, ["a"], {"a": 1}])
def test_a_document_without_a_user_has_a_place(user: object) -> None:
    document = {**stored("user_interactions"), "user_id": user}
    assert copy_of("user_interactions", document, RING).owner == "=none"
