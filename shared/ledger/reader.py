"""All queries on ``view_state``, by name. No other module contains their text.

Point reads use :func:`shared.cosmos.items.find_item`. The store does the writes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.concurrency import batched
from shared.cosmos.queries import Query, after_prefix, in_list, numbered, run_query
from shared.ledger.pages import LEDGER, page_id
from shared.ledger.partials import PARTIAL, partial_id
from shared.ledger.shards import ShardId
from shared.units import EventHour

Item = Mapping[str, Any]
"""A stored document of ``view_state`` with its system properties, or some of its fields."""

PEOPLE_PER_QUERY = 200

_PERSONS = f"{PARTIAL}|{person.NAME}|"
_IS_PERSON = f"c.id >= '{_PERSONS}' AND c.id < '{after_prefix(_PERSONS)}'"

PAGES_IN_HOURS = Query(
    "pages_in_hours",
    "SELECT * FROM c WHERE c.id >= @first AND c.id < @after AND STARTSWITH(c.shard, @generation)",
)
PAGES_FROM = Query(
    "pages_from",
    "SELECT * FROM c WHERE c.id >= @first AND c.id < @after AND c._ts >= @since ORDER BY c.id"
    " OFFSET 0 LIMIT @limit",
)
DOCUMENTS_BETWEEN = Query("documents_between", "SELECT * FROM c WHERE c.id >= @first AND c.id < @after")
IDS_BETWEEN = Query(
    "ids_between",
    "SELECT c.id FROM c WHERE c.id >= @first AND c.id < @after ORDER BY c.id OFFSET 0 LIMIT @limit",
)
OWNED_OF_SHARD = Query(
    "owned_of_shard",
    f"SELECT c.aggregate, c.key FROM c WHERE c.id >= '{PARTIAL}|{person.NAME}'"
    f" AND c.id < '{after_prefix(f'{PARTIAL}|{person.NAME}')}'",
)
"""The partials that people own: ``person`` and ``person_month``."""
PERSONS_OF_SHARD = Query("persons_of_shard", f"SELECT * FROM c WHERE {_IS_PERSON}")


class Selected(NamedTuple):
    """What a selection has of a partial."""

    id: str
    target: PartialKey
    pending: bool
    """Whether what is published about the person has yet to follow their record."""
    refused: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """Partials of a generation that some work is about: those with ids from one to before another."""

    first: str
    after: str
    since: int = 0
    """Only those written from this time on (``_ts``)."""
    consent: bool = False
    """Only people who refuse, or whose record is pending."""

    @classmethod
    def beginning(cls, name: str, *, since: int = 0, consent: bool = False) -> Self:
        """Return the partials whose ids begin with a name: an aggregate's, or one and a key's beginning."""
        first = f"{PARTIAL}|{name}"
        return cls(first, first[:-1] + chr(ord(first[-1]) + 1), since, consent)

    def values(self) -> dict[str, Any]:
        """Return the parameters of its queries."""
        return {"first": self.first, "after": self.after, "since": self.since}


_OF_GENERATION = " AND STARTSWITH(c.shard, @generation)"
_IN_ORDER = " ORDER BY c.id OFFSET 0 LIMIT @limit"
_RANGE = " FROM c WHERE c.id >= @first AND c.id < @after AND c._ts >= @since"
_BY_CONSENT = f"{_RANGE} AND (c.record.refused = true OR c.record.pending = true)"
_FIELDS = "SELECT c.id, c.aggregate, c.key, c.record.pending, c.record.refused"
_SHARDS = "SELECT DISTINCT c.shard"

SELECTED = Query("selected", f"{_FIELDS}{_RANGE}{_OF_GENERATION}")
SELECTED_OF_SHARD = Query("selected_of_shard", f"{_FIELDS}{_RANGE}{_IN_ORDER}")
SHARDS_OF_SELECTED = Query("shards_of_selected", f"{_SHARDS}{_RANGE}{_OF_GENERATION}")
KEYS_OF_SELECTED = Query("keys_of_selected", f"SELECT DISTINCT c.key{_RANGE}{_OF_GENERATION}")
PEOPLE_SELECTED = Query("people_selected", f"{_FIELDS}{_BY_CONSENT}{_OF_GENERATION}")
PEOPLE_SELECTED_OF_SHARD = Query("people_selected_of_shard", f"{_FIELDS}{_BY_CONSENT}{_IN_ORDER}")
SHARDS_OF_PEOPLE_SELECTED = Query("shards_of_people_selected", f"{_SHARDS}{_BY_CONSENT}{_OF_GENERATION}")

_TIERS = (
    "SELECT c.id, c.state, {'first_known': c.record.first_known, 'months': c.record.months,"
    f" 'refused': c.record.refused}} AS record FROM c WHERE {_IS_PERSON}"
)
TIERS_OF_PEOPLE = Query("tiers_of_people", f"{_TIERS} AND STARTSWITH(c.shard, @generation)")
TIERS_OF_SHARD = Query("tiers_of_shard", f"{_TIERS} AND c.id >= @first{_IN_ORDER}")

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

    async def pages_in_hours(
        self, generation: int, first: EventHour, last: EventHour, sources: Iterable[str]
    ) -> AsyncIterator[Item]:
        """Yield the ledger pages of sources in all shards, from one hour to another, both included."""
        for source in sources:
            values = {"first": page_id(source, first), "after": _after(last, source)}
            async for item in self._of_generation(PAGES_IN_HOURS, generation, values):
                yield item

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

    def documents_between(self, shard: ShardId, first: str, after: str) -> AsyncIterator[Item]:
        """Yield a shard's documents with ids from one to before another."""
        return self._in_shard(DOCUMENTS_BETWEEN, shard, {"first": first, "after": after})

    async def first_id(self, shard: ShardId, first: str, after: str) -> str | None:
        """Return the lowest id from one to before another in a shard, None if there is none."""
        values = {"first": first, "after": after, "limit": 1}
        return next(iter([str(row["id"]) async for row in self._in_shard(IDS_BETWEEN, shard, values)]), None)

    def pages_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield all ledger pages of a shard."""
        return self.documents_between(shard, f"{LEDGER}|", after_prefix(f"{LEDGER}|"))

    async def owned_of_shard(self, shard: ShardId) -> AsyncIterator[PartialKey]:
        """Yield the keys of the partials of a shard that one person owns each."""
        async for row in self._in_shard(OWNED_OF_SHARD, shard, {}):
            yield PartialKey(row["aggregate"], row["key"])

    async def person(self, shard: ShardId, user_id: str) -> Item | None:
        """Return the ``person`` partial of a person, None if there is none."""
        ids = [partial_id(PartialKey(person.NAME, user_id))]
        return next(iter([item async for item in self.documents_by_id(shard, ids)]), None)

    def persons_of_shard(self, shard: ShardId) -> AsyncIterator[Item]:
        """Yield the ``person`` partials of a shard."""
        return self._in_shard(PERSONS_OF_SHARD, shard, {})

    async def selected(self, generation: int, selection: Selection) -> AsyncIterator[Selected]:
        """Yield a selection from all shards, in any order."""
        query = PEOPLE_SELECTED if selection.consent else SELECTED
        async for row in self._of_generation(query, generation, selection.values()):
            yield _selected(row)

    async def shards_of(self, generation: int, selection: Selection) -> list[ShardId]:
        """Return the shards that have any of a selection."""
        query = SHARDS_OF_PEOPLE_SELECTED if selection.consent else SHARDS_OF_SELECTED
        rows = self._of_generation(query, generation, selection.values())
        return sorted({ShardId(row["shard"]) async for row in rows})

    async def selected_of_shard(self, shard: ShardId, selection: Selection, limit: int) -> list[Selected]:
        """Return the first of a shard's selection in the order of their ids, as many as the limit at most."""
        values = selection.values() | {"limit": limit}
        query = PEOPLE_SELECTED_OF_SHARD if selection.consent else SELECTED_OF_SHARD
        return [_selected(row) async for row in self._in_shard(query, shard, values)]

    async def keys_of(self, generation: int, selection: Selection) -> set[str]:
        """Return the keys of a selection. For keys of which all shards have a share: there are few."""
        rows = self._of_generation(KEYS_OF_SELECTED, generation, selection.values())
        return {str(row["key"]) async for row in rows}

    def tiers_of_people(self, generation: int) -> AsyncIterator[Item]:
        """Yield ``state`` and ``record`` of every person, without what their tiers do not need."""
        return self._of_generation(TIERS_OF_PEOPLE, generation, {})

    async def tiers_of_shard(self, shard: ShardId, first: str, limit: int) -> list[Item]:
        """Return the same of a shard's people in the order of their ids, as many as the limit at most."""
        values = {"first": first, "limit": limit}
        return [row async for row in self._in_shard(TIERS_OF_SHARD, shard, values)]

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


def position_after(document_id: str) -> str:
    """Return the lowest id after an id: no id is between an id and the same one with a space."""
    return f"{document_id} "


def _selected(row: Item) -> Selected:
    target = PartialKey(row["aggregate"], row["key"])
    return Selected(row["id"], target, bool(row.get("pending")), bool(row.get("refused")))


async def _keys(rows: AsyncIterator[Item]) -> AsyncIterator[str]:
    async for row in rows:
        yield row["key"]
