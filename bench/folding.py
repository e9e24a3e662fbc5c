"""The fold with no I/O: ``shared.ledger.fold`` on a store in memory, against parsing alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.contenders import BenchError
from bench.figures import FoldFigures, Spread
from bench.traffic import LIVE_START, LiveSegments, Scale
from shared.documents.interactions import parse_interaction
from shared.facts import USER_INTERACTIONS
from shared.ingest.sources import SOURCES
from shared.ledger.changes import Change, Verdict
from shared.ledger.fold import fold_changes
from shared.ledger.needs import Answer, DocumentsById, Need, RecordsOf, drive
from shared.ledger.shards import ShardId, shard_of
from shared.ledger.state import Loaded, Write
from shared.pricing.table import PriceTable, list_prices
from shared.settings import Settings
from shared.units import Millis

BATCH = 1_000

FIRST_WRITTEN = int(LIVE_START.timestamp()) + 900
"""``_ts`` of the first document, in seconds since the epoch."""


@dataclass(slots=True)
class MemoryState:
    """``view_state`` as decoded documents. An etag is a count of writes: there is no other writer."""

    documents: dict[tuple[ShardId, str], Loaded] = field(default_factory=dict)
    writes: int = 0

    def answer(self, shard: ShardId, need: Need) -> Answer:
        """Return the documents that a fold needs. Nobody has an account."""
        match need:
            case DocumentsById(ids):
                nothing = Loaded(None, None)
                return {document_id: self.documents.get((shard, document_id), nothing) for document_id in ids}
            case RecordsOf():
                return {}

    def commit(self, shard: ShardId, writes: Sequence[Write]) -> None:
        """Store the documents."""
        for document, _ in writes:
            self.writes += 1
            self.documents[shard, document.id] = Loaded(document, str(self.writes))


def fold_batch(state: MemoryState, shards: dict[ShardId, list[Change]]) -> int:
    """Fold one batch, shard by shard, as ``ShardWriter`` does; return how many changes were counted."""
    counted = 0
    for shard, changes in shards.items():
        fold = fold_changes(shard, USER_INTERACTIONS, changes, Millis(FIRST_WRITTEN * 1000))
        folded = drive(fold, partial(state.answer, shard))
        state.commit(shard, folded.writes)
        counted += sum(verdict in (Verdict.ADDED, Verdict.REPLACED) for _, verdict in folded.verdicts)
    return counted


def delivered(documents: Sequence[dict[str, Any]], first_lsn: int = 1) -> list[dict[str, Any]]:
    """Return documents as a change feed delivers them, written one after the other, 24 a second."""
    return [
        document
        | {"_ts": FIRST_WRITTEN + lsn // 24, "_lsn": lsn, "_etag": f'"{lsn:08x}"', "_rid": "", "_self": ""}
        for lsn, document in enumerate(documents, first_lsn)
    ]


def by_shard(changes: Sequence[Change]) -> dict[ShardId, list[Change]]:
    """Group changes as ``Ingest`` does, with the default number of shards."""
    settings = Settings()
    grouped: dict[ShardId, list[Change]] = defaultdict(list)
    for change in changes:
        shard = shard_of(change.user_id, shards=settings.shards, generation=settings.generation)
        grouped[shard].append(change)
    return grouped


def measure_fold(scale: Scale, changes: int, repetitions: int) -> FoldFigures:
    """Measure both on the same documents, in turns; the first turn warms up."""
    parse_rates, fold_rates = [], []
    for repetition, (parse_seconds, fold_seconds) in enumerate(_turns(scale, changes, repetitions + 1)):
        if repetition:
            parse_rates.append(changes / parse_seconds)
            fold_rates.append(changes / fold_seconds)
    return FoldFigures(changes, Spread.of(parse_rates), Spread.of(fold_rates))


def _turns(scale: Scale, changes: int, count: int) -> Iterator[tuple[float, float]]:
    prices, source = PriceTable(list_prices()), SOURCES[USER_INTERACTIONS]
    documents = delivered(LiveSegments(scale).next(changes))
    for _ in range(count):
        started = time.perf_counter()
        for raw in documents:
            parse_interaction(raw)
        parse_seconds = time.perf_counter() - started
        facts = [source.to_change(raw, prices, False) for raw in documents]
        batches = [by_shard(facts[start : start + BATCH]) for start in range(0, changes, BATCH)]
        state = MemoryState()
        started = time.perf_counter()
        counted = sum(fold_batch(state, batch) for batch in batches)
        fold_seconds = time.perf_counter() - started
        if counted != changes:
            raise BenchError(f"the fold counted {counted} of {changes} changes")
        yield parse_seconds, fold_seconds
