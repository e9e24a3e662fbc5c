"""All queries on ``view_state``, by name. No other module contains their text.

Point reads use :func:`shared.cosmos.items.find_item`. The store does the writes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.concurrency import batched
from shared.cosmos.queries import Query, in_list, numbered, run_query
from shared.ledger.pages import LEDGER, page_id
from shared.ledger.partials import PARTIAL, partial_id
from shared.ledger.shards import ShardId
from shared.units import EventHour

Item = Mapping[str, Any]
"""A stored document of ``view_state`` with its system properties, or some of its fields."""

PEOPLE_PER_QUERY = 200

PAGES_IN_HOURS = Query(
    "pages_in_hours",
    "SELECT * FROM c WHERE ((c.id >= @first0 AND c.id < @after0) OR (c.id >= @first1 AND c.id < @after1))"
    " AND STARTSWITH(c.shard, @generation)",
)
PAGES_FROM = Query(
    "pages_from",
    "SELECT * FROM c WHERE c.id >= @first AND c.id < @after AND c._ts >= @since ORDER BY c.id"
    " OFFSET 0 LIMIT @limit",
)
PAGES_OF_SHARD = Query("pages_of_shard", f"SELECT * FROM c WHERE STARTSWITH(c.id, '{LEDGER}|')")
PERSONS_OF_SHARD = Query(
    "persons_of_shard", f"SELECT * FROM c WHERE STARTSWITH(c.id, '{PARTIAL}|{person.NAME}|')"
)
PARTIALS_OF_SHARD = Query(
    "partials_of_shard",
    f"SELECT * FROM c WHERE STARTSWITH(c.id, '{PARTIAL}|')"
    f" AND NOT STARTSWITH(c.id, '{PARTIAL}|{person.NAME}|')",
)

_KEYS = (
    f"SELECT c.aggregate, c.key FROM c WHERE STARTSWITH(c.id, '{PARTIAL}|')"
    " AND STARTSWITH(c.shard, @generation)"
)
ALL_KEYS = Query("all_keys", _KEYS)
KEYS_WRITTEN_SINCE = Query("keys_written_since", f"{_KEYS} AND c._ts >= @since")
KEYS_WITH_PREFIX = Query(
    "keys_with_prefix",
    "SELECT c.aggregate, c.key FROM c WHERE STARTSWITH(c.id, @start) AND STARTSWITH(c.shard, @generation)",
)
TIERS_OF_PEOPLE = Query(
    "tiers_of_people",
    "SELECT c.state, {'first_known': c.record.first_known, 'months': c.record.months,"
    f" 'refused': c.record.refused}} AS record FROM c WHERE STARTSWITH(c.id, '{PARTIAL}|{person.NAME}|')"
    " AND STARTSWITH(c.shard, @generation)",
)
PENDING_PEOPLE = Query(
    "pending_people",
    "SELECT c.key FROM c WHERE c.record.pending = true AND STARTSWITH(c.shard, @generation)",
)
REFUSING_PEOPLE = Query(
    "refusing_people",
    "SELECT c.key FROM c WHERE c.record.refused = true AND STARTSWITH(c.shard, @generation)",
)
IDS_OF_PARTITION = Query("ids_of_partition", "SELECT c.id FROM c")
OTHER_PARTITIONS = Query(
    "other_partitions",
    f"SELECT c.shard FROM c WHERE NOT STARTSWITH(c.id, '{LEDGER}|') AND NOT STARTSWITH(c.id, '{PARTIAL}|')"
    " AND STARTSWITH(c.shard, @generation)",
)


def _refusing_among(ids: Sequence[str]) -> Query:
    return Query(
        "refusing_among",
        f"SELECT c.key FROM c WHERE c.record.refused = true AND c.id IN ({in_list('id', ids)})"
        " AND STARTSWITH(c.shard, @generation)",
    )


def _documents_by_id(ids: Sequence[str]) -> Query:
    return Query("documents_by_id", f"SELECT * FROM c WHERE c.id IN ({in_list('id', ids)})")


def _partials_by_key(ids: Sequence[str]) -> Query:
    return Query(
        "partials_by_key", f"SELECT * FROM c WHERE c.id IN ({in_list('id', ids)}) AND c._ts >= @since"
    )


def _after(hour: EventHour, source: str) -> str:
    """Return the first id after all parts of an hour."""
    return f"{page_id(source, hour)}~"


class StateReader:
    """Runs the queries. Every method raises what :func:`shared.cosmos.queries.run_query` raises."""

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container

    def documents_by_id(self, shard: ShardId, ids: Sequence[str]) -> AsyncIterator[Item]:
        """Yield a shard's documents with these ids. Missing documents are skipped."""
        return self._in_shard(_documents_by_id(ids), shard, numbered("id", ids))

    def partials_by_key(
        self, targets: Sequence[PartialKey], *, since: int, shard: ShardId | None = None
    ) -> AsyncIterator[Item]:
        """Yield the partials of keys that were written since a time (``_ts``), of one shard or of all."""
        ids = [partial_id(target) for target in targets]
        return run_query(
            self._container,
            _partials_by_key(ids),
            {"since": since} | numbered("id", ids),
            partition_key=shard,
        )

    def pages_in_hours(
        self, generation: int, first: EventHour, last: EventHour, sources: tuple[str, str]
    ) -> AsyncIterator[Item]:
        """Yield the ledger pages of two sources in all shards, from one hour to another, both included."""
        values = numbered("first", [page_id(source, first) for source in sources])
        values |= numbered("after", [_after(last, source) for source in sources])
        return self._of_generation(PAGES_IN_HOURS, generation, values)

    async def pages_from(
        self, shard: ShardId, source: str, first: str, *, since: int, limit: int
    ) -> list[Item]:
        """Return a shard's ledger pages of a source in the order of their ids, as many as the limit at most.

        Parameters
        ----------
        first
            The lowest id, of a page or of none: :func:`shared.ledger.pages.page_id`.
        since
            Only pages that were written since this time (``_ts``).
        """
        values = {"first": first, "after": f"{LEDGER}|{source}~", "since": since, "limit": limit}
        return [page async for page in self._in_shard(PAGES_FROM, shard, values)]

    def pages_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield all ledger pages of a shard."""
        return self._in_shard(PAGES_OF_SHARD, shard, {})

    def persons_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield the ``person`` partials of a shard."""
        return self._in_shard(PERSONS_OF_SHARD, shard, {})

    def partials_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield all partials of a shard except the ``person`` partials."""
        return self._in_shard(PARTIALS_OF_SHARD, shard, {})

    def all_keys(self, generation: int) -> AsyncIterator[PartialKey]:
        """Yield the keys of all partials of a generation, without duplicates."""
        return _distinct(self._of_generation(ALL_KEYS, generation, {}))

    def keys_written_since(self, generation: int, since: int) -> AsyncIterator[PartialKey]:
        """Yield the keys of the partials of a generation that were written since a time (``_ts``)."""
        return _distinct(self._of_generation(KEYS_WRITTEN_SINCE, generation, {"since": since}))

    def keys_with_prefix(self, generation: int, aggregate: str, prefix: str) -> AsyncIterator[PartialKey]:
        """Yield the keys of an aggregate that begin with a prefix, of all partials of a generation."""
        values = {"start": f"{PARTIAL}|{aggregate}|{prefix}"}
        return _distinct(self._of_generation(KEYS_WITH_PREFIX, generation, values))

    def tiers_of_people(self, generation: int) -> AsyncIterator[Item]:
        """Yield ``state`` and ``record`` of every person, without what their tiers do not need."""
        return self._of_generation(TIERS_OF_PEOPLE, generation, {})

    def pending_people(self, generation: int) -> AsyncIterator[str]:
        """Yield the user ids of people whose change of consent is not yet applied to what is published."""
        return _keys(self._of_generation(PENDING_PEOPLE, generation, {}))

    def refusing_people(self, generation: int) -> AsyncIterator[str]:
        """Yield the user ids of people who refuse user-level analytics."""
        return _keys(self._of_generation(REFUSING_PEOPLE, generation, {}))

    async def refusing_among(self, generation: int, people: Iterable[str]) -> list[str]:
        """Return those of some people who refuse user-level analytics."""
        found: list[str] = []
        for chunk in batched(people, PEOPLE_PER_QUERY):
            ids = [partial_id(PartialKey(person.NAME, user_id)) for user_id in chunk]
            query = _refusing_among(ids)
            rows = _keys(self._of_generation(query, generation, numbered("id", ids)))
            found += [user_id async for user_id in rows]
        return found

    async def ids_of_partition(self, partition: str) -> AsyncIterator[str]:
        """Yield the ids of all documents of a logical partition."""
        async for row in run_query(self._container, IDS_OF_PARTITION, {}, partition_key=partition):
            yield str(row["id"])

    async def other_partitions(self, generation: int) -> set[str]:
        """Return the partitions of a generation with documents other than ledger pages and partials."""
        return {str(row["shard"]) async for row in self._of_generation(OTHER_PARTITIONS, generation, {})}

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


async def _keys(rows: AsyncIterator[Item]) -> AsyncIterator[str]:
    async for row in rows:
        yield row["key"]
