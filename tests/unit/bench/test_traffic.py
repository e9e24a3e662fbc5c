"""The traffic of the benchmark: exact sizes, the same for the same seed, and nothing malformed."""

from __future__ import annotations

from bench.folding import MemoryState, by_shard, delivered, fold_batch, measure_fold
from bench.freshness import Watcher
from bench.traffic import (
    LIVE_DAY,
    PER_TRANSACTION,
    LiveSegments,
    Scale,
    distinct_people,
    history_chunks,
    transactions,
)
from shared.documents.interactions import parse_interaction
from shared.facts import USER_INTERACTIONS
from shared.ingest.sources import SOURCES
from shared.pricing.table import PriceTable, list_prices

SCALE = Scale(people=20, interactions_per_day=20, days=2, seed=7)


def test_segments_have_the_size_asked_for_and_are_reproducible() -> None:
    one, other = LiveSegments(SCALE), LiveSegments(SCALE)
    for size in (1, 50, 400):
        segment = one.next(size)
        assert len({document["id"] for document in segment}) == len(segment) == size
        assert segment == other.next(size)


def test_live_traffic_is_of_one_day_and_valid() -> None:
    segment = LiveSegments(SCALE).next(500)
    for document in segment:
        parse_interaction(document)
        assert document["timestamp"].startswith(LIVE_DAY.isoformat())
    assert 1 < distinct_people(segment) <= SCALE.people


def test_ratings_come_as_changes_of_earlier_documents_unless_unwanted() -> None:
    live = LiveSegments(SCALE)
    first = {document["id"] for document in live.next(300)}
    again = [document for document in live.next(700) if document["id"] in first]
    assert again
    assert all(document["user_rating"] in range(1, 6) for document in again)
    plain = LiveSegments(SCALE, ratings=False)
    seen = [document["id"] for _ in range(3) for document in plain.next(300)]
    assert len(set(seen)) == len(seen)


def test_ten_times_the_history_is_ten_times_the_days_of_the_same_people() -> None:
    short, long = SCALE.history(), SCALE.history(10)
    assert (short.interactions, long.interactions) == (40, 400)
    assert (short.days, long.days) == (2, 20)
    assert short.until == long.until < LIVE_DAY
    documents = [document for chunk in history_chunks(long, 64) for document in chunk]
    assert len({document["id"] for document in documents}) == 400
    assert {len(chunk) for chunk in list(history_chunks(long, 64))[:-1]} == {64}


def test_transactions_hold_one_person_and_are_bounded() -> None:
    documents = [{"id": str(n), "user_id": "ann" if n % 3 else "bob"} for n in range(300)]
    batches = list(transactions(documents))
    assert all(len(batch) <= PER_TRANSACTION for _, batch in batches)
    assert all(body["user_id"] == user for user, batch in batches for _, (body,) in batch)
    assert sorted(body["id"] for _, batch in batches for _, (body,) in batch) == sorted(
        str(n) for n in range(300)
    )


def test_the_fold_in_memory_counts_each_version_once() -> None:
    prices, source, state = PriceTable(list_prices()), SOURCES[USER_INTERACTIONS], MemoryState()
    live = LiveSegments(SCALE)
    first, second = delivered(live.next(200)), delivered(live.next(200), first_lsn=201)
    for documents, expected in ((first, 200), (first, 0), (second, 200), (first, 0)):
        changes = [source.to_change(raw, prices, False) for raw in documents]
        assert fold_batch(state, by_shard(changes)) == expected


def test_fold_and_parsing_are_measured_on_the_same_changes() -> None:
    figures = measure_fold(SCALE, 300, 2)
    assert figures.changes == 300
    assert 0 < figures.fold.low <= figures.fold.median <= figures.fold.high
    assert 0 < figures.parse.low <= figures.parse.median


def test_a_write_is_visible_when_the_view_counts_it() -> None:
    watcher = Watcher({"ann": 4})
    watcher.wrote("ann", 10.0)
    watcher.wrote("ann", 11.0)
    watcher.wrote("bob", 11.5)
    watcher.saw("ann", 4, 12.0)  # the state before both
    assert (watcher.delays, watcher.pending) == ([], 3)
    watcher.saw("ann", 5, 12.5)
    assert (watcher.delays, watcher.pending) == ([2.5], 2)
    watcher.saw("ann", 6, 13.0)
    watcher.saw("bob", 1, 14.0)
    assert watcher.delays == [2.5, 2.0, 2.5]
    assert watcher.pending == 0
