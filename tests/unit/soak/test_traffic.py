"""The traffic of a soak, and the book by which lost and doubled writes show."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.independent import is_malformed
from tests.soak.traffic import (
    DAMAGES,
    LAP_DOCUMENTS,
    ONE_HALF_FROM,
    ONE_HALF_UNTIL,
    Book,
    Change,
    Kind,
    SoakTraffic,
    is_in_first_half,
    key_of,
)

UNTIL = 1_756_650_000_000
SECONDS = 600.0


def drawn(count: int, seed: int = 1) -> list[Change]:
    traffic = SoakTraffic(users=20, seed=seed, until=UNTIL)
    return [traffic.next(SECONDS * n / count, n / count) for n in range(count)]


def test_a_seed_gives_the_same_traffic() -> None:
    assert drawn(200) == drawn(200)
    assert drawn(200) != drawn(200, seed=2)


def test_every_kind_of_write_occurs_and_keeps_its_lane() -> None:
    changes = drawn(4000)
    kinds = Counter(change.kind for change in changes)
    assert set(kinds) == set(Kind) - {Kind.LAP}
    assert kinds[Kind.QUESTION] > 1000
    containers = Counter(change.container for change in changes)
    assert {"users", "user_sessions", "abuse_incidents", "personality_vectors"} <= containers.keys()
    lanes: dict[object, set[int]] = {}
    for change in changes:
        lanes.setdefault(key_of(change.document), set()).add(change.lane)
    assert all(len(own) == 1 for own in lanes.values())


def test_one_half_is_silent_for_a_while_and_writes_everything_in_the_end() -> None:
    traffic, count = SoakTraffic(users=20, seed=1, until=UNTIL), 2000
    shares = [number / count for number in range(count)]
    silent = [ONE_HALF_FROM <= share < ONE_HALF_UNTIL for share in shares]
    changes = [traffic.next(SECONDS * share, share) for share in shares]
    halves = Counter(
        (is_silent, is_in_first_half(change.document))
        for change, is_silent in zip(changes, silent, strict=True)
    )
    assert halves[True, False] == 0
    assert halves[True, True] > 300
    assert min(halves[False, True], halves[False, False]) > 300
    everything = [*changes, *traffic.left()]
    asked = [c.document["id"] for c in everything if c.kind is Kind.QUESTION]
    assert len(asked) == len(set(asked))
    written = set()
    for change in everything:  # what is about an interaction comes after it
        if change.kind is Kind.QUESTION:
            written.add(change.document["id"])
        elif change.container == "user_interactions":
            assert change.document["id"] in written


def test_every_lap_writes_the_same_good_documents_in_two_versions_by_turns() -> None:
    traffic = SoakTraffic(users=20, seed=1, until=UNTIL)
    for number in range(1500):
        traffic.next(SECONDS * number / 1500, number / 1500)
    laps = [traffic.lap(number) for number in range(4)]
    assert len(laps[0]) == LAP_DOCUMENTS
    assert laps[0] == laps[2] != laps[1] == laps[3]
    assert not any(is_malformed(change.document) for lap in laps for change in lap)


def test_damages_are_malformed_and_repairs_are_not() -> None:
    damaged: set[object] = set()
    for change in drawn(4000):
        match change.kind:
            case Kind.DAMAGE:
                assert is_malformed(change.document)
                damaged.add(key_of(change.document))
            case Kind.REPAIR:
                assert not is_malformed(change.document)
                assert key_of(change.document) in damaged
            case Kind.RATING | Kind.CORRECTION | Kind.REPETITION:
                assert not is_malformed(change.document)


def test_a_repetition_repeats_what_stands_or_stood_before_its_damage() -> None:
    good: dict[object, object] = {}
    for change in drawn(2000):
        if change.kind is Kind.REPETITION:
            assert good[key_of(change.document)] == change.document
        if change.kind is not Kind.DAMAGE:
            good[key_of(change.document)] = change.document


def test_damages_leave_the_partition_key() -> None:
    assert DAMAGES
    assert not any("user_id" in name for name in DAMAGES)


@pytest.fixture
def book() -> Book:
    written = Book()
    for name in ("a", "b"):
        written.enter(Change(Kind.QUESTION, {"id": name, "user_id": "u", "n": 1}, 0))
    return written


def stored(name: str, number: int = 1, user: str = "u") -> dict[str, object]:
    return {"id": name, "user_id": user, "n": number, "_etag": "e", "_ts": 5, "_rid": "r"}


def test_what_stands_as_acknowledged_is_in_order(book: Book) -> None:
    assert book.discrepancies([stored("a"), stored("b")]) == []
    book.enter(Change(Kind.CORRECTION, {"id": "a", "user_id": "u", "n": 2}, 0))
    assert book.discrepancies([stored("a", 2), stored("b")]) == []
    assert book.writes == 3


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([stored("a")], "acknowledged and is not there"),
        ([stored("a"), stored("b", 2)], "another version stands"),
        ([stored("a"), stored("b"), stored("c")], "never acknowledged"),
        ([stored("a"), stored("b"), stored("b")], "is there twice"),
    ],
)
def test_what_differs_is_named(book: Book, documents: list[dict[str, object]], said: str) -> None:
    (line,) = book.discrepancies(documents)
    assert said in line


def test_absent_null_and_literal_users_are_different() -> None:
    keys = [key_of({"id": "a", **user}) for user in ({}, {"user_id": None}, {"user_id": "null"})]
    assert len(set(keys)) == 3
