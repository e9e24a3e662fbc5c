"""All queries on ``view_state``, by name. No other module contains their text.

Point reads use :func:`shared.cosmos.items.find_item`. The store does the writes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.cosmos.queries import Query, in_list, numbered, run_query
from shared.ledger.pages import LEDGER
from shared.ledger.partials import PARTIAL
from shared.ledger.shards import ShardId
from shared.units import EventHour

Item = Mapping[str, Any]
"""A stored document of ``view_state`` with its system properties, or some of its fields."""

PAGES_IN_HOURS = Query(
    "pages_in_hours",
    f"SELECT * FROM c WHERE c.kind = '{LEDGER}' AND c.hour >= @first AND c.hour <= @last"
    " AND (c.source = @source0 OR c.source = @source1) AND STARTSWITH(c.shard, @generation)",
)
PAGES_WRITTEN_SINCE = Query(
    "pages_written_since",
    f"SELECT * FROM c WHERE c.kind = '{LEDGER}' AND c.hour >= @hour AND c._ts >= @since",
)
PAGES_OF_SHARD = Query("pages_of_shard", f"SELECT * FROM c WHERE c.kind = '{LEDGER}'")
PERSONS_OF_SHARD = Query(
    "persons_of_shard", f"SELECT * FROM c WHERE c.kind = '{PARTIAL}' AND c.aggregate = @person"
)
PARTIALS_OF_SHARD = Query(
    "partials_of_shard", f"SELECT * FROM c WHERE c.kind = '{PARTIAL}' AND c.aggregate != @person"
)

_KEYS = f"SELECT c.aggregate, c.key FROM c WHERE c.kind = '{PARTIAL}' AND STARTSWITH(c.shard, @generation)"
ALL_KEYS = Query("all_keys", _KEYS)
KEYS_WRITTEN_SINCE = Query("keys_written_since", f"{_KEYS} AND c._ts >= @since")
KEYS_WITH_PREFIX = Query(
    "keys_with_prefix", f"{_KEYS} AND c.aggregate = @aggregate AND STARTSWITH(c.key, @prefix)"
)
PASSAGE_GROUPS_OF_DAY = Query(
    "passage_groups_of_day",
    "SELECT c.shard FROM c WHERE c.kind = 'usage' AND c.id = @id AND STARTSWITH(c.shard, @start)",
)


def _documents_by_id(ids: Sequence[str]) -> Query:
    return Query("documents_by_id", f"SELECT * FROM c WHERE c.id IN ({in_list('id', ids)})")


def _pages_by_fingerprint(fingerprints: Sequence[str]) -> Query:
    any_of = " OR ".join(f"ARRAY_CONTAINS(c.ids, @{name})" for name in numbered("fingerprint", fingerprints))
    return Query(
        "pages_by_fingerprint", f"SELECT c.id, c._etag FROM c WHERE c.kind = '{LEDGER}' AND ({any_of})"
    )


def _partials_by_key(aggregates: Sequence[str], keys: Sequence[str]) -> Query:
    return Query(
        "partials_by_key",
        f"SELECT * FROM c WHERE c.aggregate IN ({in_list('aggregate', aggregates)})"
        f" AND c.key IN ({in_list('key', keys)}) AND c._ts >= @since",
    )


class StateReader:
    """Runs the queries. Every method raises what :func:`shared.cosmos.queries.run_query` raises."""

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container

    def documents_by_id(self, shard: ShardId, ids: Sequence[str]) -> AsyncIterator[Item]:
        """Yield a shard's documents with these ids. Missing documents are skipped."""
        return self._in_shard(_documents_by_id(ids), shard, numbered("id", ids))

    def pages_by_fingerprint(self, shard: ShardId, fingerprints: Sequence[str]) -> AsyncIterator[Item]:
        """Yield ``id`` and ``_etag`` of a shard's ledger pages that index any of the fingerprints."""
        return self._in_shard(
            _pages_by_fingerprint(fingerprints), shard, numbered("fingerprint", fingerprints)
        )

    def partials_by_key(
        self, targets: Sequence[PartialKey], *, since: int, shard: ShardId | None = None
    ) -> AsyncIterator[Item]:
        """Yield the partials of keys that were written since a time (``_ts``), of one shard or of all shards.

        Aggregates and keys are matched separately. The rows may contain pairs that were not requested.
        """
        aggregates, keys = sorted({t.aggregate for t in targets}), sorted({t.key for t in targets})
        return run_query(
            self._container,
            _partials_by_key(aggregates, keys),
            {"since": since} | numbered("aggregate", aggregates) | numbered("key", keys),
            partition_key=shard,
        )

    def pages_in_hours(
        self, generation: int, first: EventHour, last: EventHour, sources: tuple[str, str]
    ) -> AsyncIterator[Item]:
        """Yield the ledger pages of two sources in all shards, from one hour to another, both included."""
        values = {"first": first, "last": last} | numbered("source", sources)
        return self._of_generation(PAGES_IN_HOURS, generation, values)

    def pages_written_since(self, shard: ShardId, hour: EventHour, since: int) -> AsyncIterator[Item]:
        """Yield a shard's ledger pages of an hour and later that were written since a time (``_ts``)."""
        return self._in_shard(PAGES_WRITTEN_SINCE, shard, {"hour": hour, "since": since})

    def pages_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield all ledger pages of a shard."""
        return self._in_shard(PAGES_OF_SHARD, shard, {})

    def persons_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield the ``person`` partials of a shard."""
        return self._in_shard(PERSONS_OF_SHARD, shard, {"person": person.NAME})

    def partials_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield all partials of a shard except the ``person`` partials."""
        return self._in_shard(PARTIALS_OF_SHARD, shard, {"person": person.NAME})

    def all_keys(self, generation: int) -> AsyncIterator[PartialKey]:
        """Yield the keys of all partials of a generation, without duplicates."""
        return _distinct(self._of_generation(ALL_KEYS, generation, {}))

    def keys_written_since(self, generation: int, since: int) -> AsyncIterator[PartialKey]:
        """Yield the keys of the partials of a generation that were written since a time (``_ts``)."""
        return _distinct(self._of_generation(KEYS_WRITTEN_SINCE, generation, {"since": since}))

    def keys_with_prefix(self, generation: int, aggregate: str, prefix: str) -> AsyncIterator[PartialKey]:
        """Yield the keys of an aggregate that begin with a prefix, of all partials of a generation."""
        values = {"aggregate": aggregate, "prefix": prefix}
        return _distinct(self._of_generation(KEYS_WITH_PREFIX, generation, values))

    async def passage_groups_of_day(self, document_id: str, start: str) -> list[str]:
        """Return the partitions that begin with a prefix and hold the passage usage of a day."""
        rows = run_query(self._container, PASSAGE_GROUPS_OF_DAY, {"id": document_id, "start": start})
        return [str(row["shard"]) async for row in rows]

    def _in_shard(self, query: Query, shard: ShardId, values: Mapping[str, Any]) -> AsyncIterator[Item]:
        return run_query(self._container, query, values, partition_key=shard)

    def _of_generation(self, query: Query, generation: int, values: Mapping[str, Any]) -> AsyncIterator[Item]:
        return run_query(self._container, query, {**values, "generation": f"{generation}:"})


async def _distinct(rows: AsyncIterator[Item]) -> AsyncIterator[PartialKey]:
    seen: set[PartialKey] = set()
    async for row in rows:
        target = PartialKey(row["aggregate"], row["key"])
        if target not in seen:
            seen.add(target)
            yield target
