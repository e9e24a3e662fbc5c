"""Names of blobs: reversible, of at most 1,024 characters, and different for different documents."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.archive.names import (
    LONGEST_NAME,
    LONGEST_USER,
    blob_name,
    document_segments,
    hashed_owner,
    owner_segment,
    parse_name,
)

DAY = date(2026, 11, 29)
IDS = st.text(st.characters(codec=None), min_size=1, max_size=400) | st.sampled_from(
    [".", "..", "...", "a/b", "a\\b", "%2F", "%", "A", "a", "=none", "a=v2", "a.json", "ü" * 511, "x" * 1_023]
)
USERS = IDS | st.just("y" * 2_048) | st.just("") | st.none()


def name_of(user: str | None, document: str, version: int = 1) -> str:
    return blob_name(DAY, owner_segment(user), document, version).text()


@given(USERS, IDS, st.integers(1, 9_999))
@example("ann", "i1", 1)
@example("/" * 300, "x" * 300, 12)
@example("\ud800", "\udfff", 1)
def test_a_name_tells_its_ids_unless_they_are_too_long(user: str | None, document: str, version: int) -> None:
    text = name_of(user, document, version)
    assert len(text) <= LONGEST_NAME
    assert text.isascii()
    *folders, last = text.split("/")
    assert folders[:4] == ["archived", "2026", "11", "29"]
    assert not any(part in ("", ".", "..") or part.endswith(".") for part in (*folders, last))
    read = parse_name(text)
    assert read is not None
    assert read.text() == text
    assert (read.day, read.version) == (DAY, version)
    assert read.user_id in (user, None)
    assert read.document_id in (document, None)
    assert read.document in document_segments(document)
    if len(text) < 400 and "=h" not in text:
        assert (read.user_id, read.document_id) == (user, document)


@given(st.tuples(USERS, IDS), st.tuples(USERS, IDS))
@example(("a", "b"), ("A", "b"))
@example((None, "b"), ("=none", "b"))
@example(("", "b"), (None, "b"))
@example(("x" * 1_000 + "1", "b"), ("x" * 1_000 + "2", "b"))
def test_different_documents_have_different_names(
    one: tuple[str | None, str], other: tuple[str | None, str]
) -> None:
    assert (name_of(*one) == name_of(*other)) is (one == other)


@given(IDS)
def test_the_segment_of_a_user_depends_on_the_user_alone(document: str) -> None:
    for user in ("ann", "u" * LONGEST_USER, "u" * (LONGEST_USER + 1), "ü" * 1_024):
        assert name_of(user, document).split("/")[4] == owner_segment(user)


def test_a_name_is_what_the_specification_says() -> None:
    assert name_of("user_1", "interaction_7") == "archived/2026/11/29/user_1/interaction_7.json"
    assert name_of("a/b@c", "..", 2) == "archived/2026/11/29/a%2Fb%40c/%2E%2E=v2.json"
    assert name_of(None, "daily") == "archived/2026/11/29/=none/daily.json"
    assert blob_name(DAY, hashed_owner("k1", "0f"), "d").text() == "archived/2026/11/29/=kk1.0f/d.json"


@pytest.mark.parametrize(
    "name",
    [
        "archived/2026/13/29/u/d.json",
        "archived/2026/11/29/u/d",
        "archived/2026/11/29/u/d=v0.json",
        "archived/2026/11/29/u/v/d.json",
        "other/2026/11/29/u/d.json",
        "archive.json",
    ],
)
def test_a_name_that_the_archive_did_not_give_is_none(name: str) -> None:
    assert parse_name(name) is None
