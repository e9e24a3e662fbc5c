"""Deciding: of two publications of one document the newer state wins, in any order."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import REPLICA_LAG_SECONDS
from shared.errors import StaleReadError, TransientStaleReadError
from shared.publishing.decide import (
    LONG_TTL,
    Candidate,
    Create,
    Decision,
    Delete,
    Delivery,
    ExistingDocument,
    NeedsRead,
    Origin,
    Reason,
    Replace,
    Stale,
    Unchanged,
    WriteWhen,
    content_hash,
    decide,
    digest_of,
    is_contention_or_lag,
    is_final,
    stale_error,
    was_missed,
)
from shared.views.base import Rendered, Stamp, stamp_fields

NOW = datetime(2025, 9, 15, 12, tzinfo=UTC)
TICK = "2025-09-15"


def candidate(
    generation: int = 1,
    revision: int = 5,
    *,
    digest: str = "d5",
    tick: str = TICK,
    figure: int | None = 7,
    ttl: int | None = None,
    origin: Origin = Origin.READ,
    write_when: WriteWhen = WriteWhen.STATE_CHANGED,
) -> Candidate:
    """Return a candidate; without a figure it has no body."""
    stamp = Stamp(generation=generation, revision=revision, as_of=NOW, tick=tick)
    body = None if figure is None else {"id": "x", "figure": figure, "_ttl": ttl, **stamp_fields(stamp)}
    return Candidate(Rendered("x", "p", body), stamp, digest, origin, write_when)


def published(by: Candidate, etag: str = "1") -> ExistingDocument:
    """Return the document as the writer leaves it."""
    decision = decide(None, replace(by, origin=Origin.READ))
    assert isinstance(decision, Create)
    return ExistingDocument.decode(decision.body, partition="p", etag=etag)


EXISTING = published(candidate())
CONTENT = WriteWhen.CONTENT_CHANGED
DAY_TTL = 86_400


@pytest.mark.parametrize(
    ("existing", "new", "expected"),
    [
        pytest.param(None, candidate(), Create, id="absent: created"),
        pytest.param(None, candidate(origin=Origin.DELIVERED), NeedsRead, id="absent, delivered: read first"),
        pytest.param(None, candidate(figure=None), Reason.ABSENT, id="absent, no body: nothing"),
        pytest.param(
            None,
            candidate(figure=None, origin=Origin.DELIVERED),
            Reason.ABSENT,
            id="absent, no body, delivered",
        ),
        pytest.param(EXISTING, candidate(), Reason.SAME_STATE, id="same state"),
        pytest.param(
            EXISTING, candidate(tick="2025-09-14"), Reason.SAME_STATE, id="same state, earlier tick"
        ),
        pytest.param(EXISTING, candidate(tick="2025-09-16"), Replace, id="same state, later tick"),
        pytest.param(EXISTING, candidate(write_when=WriteWhen.ALWAYS), Replace, id="same state, always"),
        pytest.param(EXISTING, candidate(revision=6, digest="d6"), Replace, id="newer state"),
        pytest.param(
            EXISTING,
            candidate(revision=6, digest="d6", origin=Origin.DELIVERED),
            Replace,
            id="newer, delivered",
        ),
        pytest.param(EXISTING, candidate(2, 1, digest="d1"), Replace, id="newer generation"),
        pytest.param(EXISTING, candidate(revision=4, digest="d4"), Stale, id="older state"),
        pytest.param(
            EXISTING,
            candidate(revision=4, digest="d4", write_when=WriteWhen.ALWAYS),
            Stale,
            id="older, always",
        ),
        pytest.param(EXISTING, candidate(digest="other"), Stale, id="same revision of other partials"),
        pytest.param(
            EXISTING, candidate(0, 99, digest="d99"), Reason.NEWER_GENERATION, id="older generation"
        ),
        pytest.param(
            EXISTING,
            candidate(0, 99, write_when=WriteWhen.ALWAYS),
            Reason.NEWER_GENERATION,
            id="older generation, always",
        ),
        pytest.param(EXISTING, candidate(revision=6, digest="d6", figure=None), Delete, id="newer, no body"),
        pytest.param(EXISTING, candidate(revision=4, digest="d4", figure=None), Stale, id="older, no body"),
        pytest.param(EXISTING, candidate(figure=None), Reason.SAME_STATE, id="same state, no body"),
        pytest.param(
            EXISTING,
            candidate(revision=6, digest="d6", write_when=CONTENT),
            Reason.SAME_CONTENT,
            id="content",
        ),
        pytest.param(
            EXISTING,
            candidate(revision=6, digest="d6", figure=8, write_when=CONTENT),
            Replace,
            id="other content",
        ),
        pytest.param(
            EXISTING,
            candidate(2, 6, digest="d6", write_when=CONTENT),
            Replace,
            id="content of a newer generation",
        ),
        pytest.param(
            EXISTING,
            candidate(revision=6, digest="d6", tick="2025-09-16", write_when=CONTENT),
            Reason.SAME_CONTENT,
            id="content, later tick, does not expire",
        ),
        pytest.param(
            published(candidate(ttl=LONG_TTL)),
            candidate(revision=6, digest="d6", tick="2025-09-16", ttl=LONG_TTL, write_when=CONTENT),
            Reason.SAME_CONTENT,
            id="content, later tick, expires late",
        ),
        pytest.param(
            published(candidate(ttl=DAY_TTL)),
            candidate(revision=6, digest="d6", tick="2025-09-16", ttl=DAY_TTL, write_when=CONTENT),
            Replace,
            id="content, later tick, expires soon",
        ),
        pytest.param(
            published(candidate(ttl=DAY_TTL)),
            candidate(revision=6, digest="d6", ttl=DAY_TTL, write_when=CONTENT),
            Reason.SAME_CONTENT,
            id="content, same tick, expires soon",
        ),
        pytest.param(
            EXISTING,
            candidate(revision=6, digest="d6", figure=None, write_when=CONTENT),
            Delete,
            id="content, no body",
        ),
    ],
)
def test_each_rule(existing: ExistingDocument | None, new: Candidate, expected: Any) -> None:
    decision = decide(existing, new)
    if isinstance(expected, Reason):
        assert decision == Unchanged(expected, existing)
    else:
        assert isinstance(decision, expected)
        assert getattr(decision, "existing", existing) == existing


def test_what_is_stored_carries_the_digest_and_the_content_hash() -> None:
    decision = decide(None, candidate())
    assert isinstance(decision, Create)
    body = candidate().rendered.body
    assert body is not None
    assert decision.body == body | {
        "state": {
            "generation": 1, "revision": 5, "tick": TICK, "digest": "d5", "content": content_hash(body),
        }
    }  # fmt: skip
    assert "digest" not in body["state"]


def test_the_content_hash_leaves_out_what_changes_with_every_publication() -> None:
    body = {"figure": 1, "calculated_at": "now", "state": {}, "last_updated": "now"}
    assert content_hash(body) == content_hash(body | {"calculated_at": "later", "state": {"revision": 2}})
    assert content_hash(body) != content_hash(body | {"figure": 2})


def test_a_digest_is_the_same_only_for_the_same_revisions() -> None:
    assert digest_of([("a", 1), ("b", 2)]) == digest_of([("b", 2), ("a", 1)])
    assert digest_of([("a", 1), ("b", 2)]) != digest_of([("a", 2), ("b", 1)])


def test_a_document_of_another_writer_is_older_than_any_state() -> None:
    foreign = ExistingDocument.decode({"id": "x"}, partition="p", etag="1")
    assert (foreign.generation, foreign.revision, foreign.as_of) == (0, 0, None)
    assert isinstance(decide(foreign, candidate()), Replace)


@pytest.mark.parametrize(
    ("decision", "new", "expected"),
    [
        (Create({}), candidate(), True),
        (Replace({}, EXISTING), candidate(), True),
        (Unchanged(Reason.SAME_STATE, EXISTING), candidate(), True),
        (Unchanged(Reason.SAME_CONTENT, EXISTING), candidate(), False),
        (Unchanged(Reason.ABSENT), candidate(figure=None), False),
        (Delete(EXISTING), candidate(figure=None), False),
    ],
)
def test_a_publisher_with_an_older_state_may_still_write_what_is_absent_or_was_left(
    decision: Decision, new: Candidate, expected: bool
) -> None:
    assert is_final(decision, new) is expected


UNTIL = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        (None, True),
        (replace(EXISTING, generation=0), True),
        (replace(EXISTING, as_of=NOW - timedelta(seconds=1)), True),
        (replace(EXISTING, revision=4), True),
        (EXISTING, False),
        (replace(EXISTING, as_of=None), False),
        (replace(EXISTING, revision=9, as_of=NOW + timedelta(hours=1)), False),
    ],
)
def test_a_change_was_missed_where_the_replaced_document_lacked_it(
    replaced: ExistingDocument | None, expected: bool
) -> None:
    assert was_missed(replaced, Delivery(generation=1, revision=5, until=UNTIL)) is expected


def stale(etag: str, age: float | None) -> Stale:
    return Stale(replace(EXISTING, etag=etag, as_of=None if age is None else NOW - timedelta(seconds=age)))


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ([stale("1", 3600), stale("2", 3600)], True),
        ([stale("1", 3600), stale("2", 3600), stale("2", 3600)], True),
        ([stale("1", REPLICA_LAG_SECONDS - 1)], True),
        ([stale("1", REPLICA_LAG_SECONDS)], False),
        ([stale("1", 3600), stale("1", 3600)], False),
        ([stale("1", None), stale("1", None)], False),
    ],
)
def test_a_stale_read_passes_under_contention_and_where_a_replica_lags(
    observed: list[Stale], expected: bool
) -> None:
    assert is_contention_or_lag(observed, NOW) is expected


STATES = st.tuples(st.integers(1, 3), st.integers(1, 5))


@given(states=st.lists(STATES, min_size=2, max_size=2, unique=True), order=st.permutations((0, 1, 0, 1)))
def test_of_two_candidates_the_newer_is_published_in_any_order(
    states: list[tuple[int, int]], order: list[int]
) -> None:
    candidates = [
        candidate(generation, revision, digest=f"{generation}.{revision}", figure=generation * 10 + revision)
        for generation, revision in states
    ]
    existing: ExistingDocument | None = None
    for etag, number in enumerate(order):
        decision = decide(existing, candidates[number])
        if isinstance(decision, Create | Replace):
            existing = ExistingDocument.decode(decision.body, partition="p", etag=str(etag))
            assert decide(existing, candidates[number]) == Unchanged(Reason.SAME_STATE, existing)
    assert existing is not None
    assert (existing.generation, existing.revision) == max(states)


def test_deciding_imports_no_sdk() -> None:
    code = "import sys, shared.publishing.decide; print([m for m in sys.modules if m.startswith('azure')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_error_of_a_stale_read_says_what_is_published_and_whether_a_retry_may_help() -> None:
    lost = stale_error("daily_metrics", [stale("1", 3600)], NOW)
    assert (type(lost), str(lost)) == (StaleReadError, "daily_metrics: (1, 5) is published")
    assert type(stale_error("daily_metrics", [stale("1", 1)], NOW)) is TransientStaleReadError
