"""The queries of builds on ``view_state``, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import day as day_aggregate
from shared.aggregates.base import PartialKey
from shared.cosmos.queries import Query, after_prefix, in_list, numbered, run_query, with_prefix
from shared.ledger.pages import LEDGER, Page
from shared.ledger.partials import partial_id
from shared.ledger.shards import ShardId
from shared.units import Day, Month

DAY_LISTINGS = Query(
    "day_listings",
    "SELECT c.shard, c.revision, c.pages FROM c WHERE c.id = @id AND STARTSWITH(c.shard, @generation)",
)
DAY_REVISIONS = Query(
    "day_revisions",
    "SELECT c.shard, c.key, c.revision FROM c"
    " WHERE c.id >= @first AND c.id < @after AND STARTSWITH(c.shard, @generation)",
)
DOCUMENTS_WITH_PREFIX = Query(
    "documents_with_prefix", "SELECT * FROM c WHERE c.id >= @first AND c.id < @after"
)
IDS_WITH_PREFIX = Query(
    "ids_with_prefix", "SELECT c.id, c._ts, c._etag FROM c WHERE c.id >= @first AND c.id < @after"
)


def _manifests(ids: Sequence[str]) -> Query:
    """Return a query of manifests without their rows."""
    return Query(
        "manifests",
        "SELECT c.id, c.shard, c.label, c.revision, c.version, c.inputs, c.figures, c.parts, "  # noqa: S608
        f"c.build, c._ts, c._etag FROM c WHERE c.id IN ({in_list('id', ids)})"
        " AND STARTSWITH(c.shard, @generation)",
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """What a shard's partial of a day says about the day's pages."""

    revision: int
    """Revision of the partial. Every transaction that writes one of the pages increases it."""
    pages: Mapping[str, int]
    """Revisions of the pages of the sources that are built from, by page id."""

    @property
    def sources(self) -> list[str]:
        """The sources that have pages."""
        return sorted({page.partition("|")[0] for page in self.pages})


class BuildReader:
    """Runs the queries on the state of one generation."""

    def __init__(self, state: ContainerProxy, generation: int) -> None:
        self._state = state
        self._generation = f"{generation}:"

    async def listings(
        self, day: Day, sources: Collection[str], shard: ShardId | None = None
    ) -> dict[ShardId, Listing]:
        """Return the listings of a day, of all shards that have one or of one shard.

        Parameters
        ----------
        sources
            Those whose pages are listed.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer. So do all other methods.
        """
        values = {"id": partial_id(PartialKey(day_aggregate.NAME, day)), "generation": self._generation}
        rows = run_query(self._state, DAY_LISTINGS, values, partition_key=shard)
        own = tuple(f"{source}|" for source in sources)
        return {
            ShardId(row["shard"]): Listing(
                row["revision"],
                {
                    page: revision
                    for page, revision in (row.get("pages") or {}).items()
                    if page.startswith(own)
                },
            )
            async for row in rows
        }

    async def revisions(self, first: Month, last: Month) -> dict[Day, dict[ShardId, int]]:
        """Return the revisions of the partials of the days of some consecutive months, by day and shard."""
        start, end = (
            partial_id(PartialKey(day_aggregate.NAME, f"{month[:4]}-{month[4:]}-")) for month in (first, last)
        )
        values = {"first": start, "after": after_prefix(end), "generation": self._generation}
        found: dict[Day, dict[ShardId, int]] = defaultdict(dict)
        async for row in run_query(self._state, DAY_REVISIONS, values):
            found[Day(row["key"])][ShardId(row["shard"])] = row["revision"]
        return dict(found)

    async def pages(self, shard: ShardId, day: Day, sources: Iterable[str]) -> dict[str, Page]:
        """Return a shard's pages of a day, by the id that its listing gives them."""
        start, found = f"{LEDGER}|", dict[str, Page]()
        for source in sources:
            prefix = f"{start}{source}|{day}T"
            rows = run_query(self._state, DOCUMENTS_WITH_PREFIX, with_prefix(prefix), partition_key=shard)
            found |= {str(row["id"]).removeprefix(start): Page.decode(row) async for row in rows}
        return found

    def manifests(self, ids: Sequence[str], partition: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield the manifests with these ids, without their rows, of all partitions or of one."""
        values = numbered("id", ids) | {"generation": self._generation}
        return run_query(self._state, _manifests(ids), values, partition_key=partition)

    def parts(self, partition: str, prefix: str) -> AsyncIterator[dict[str, Any]]:
        """Yield id, write time and etag of the documents of a partition whose ids begin with a prefix."""
        return run_query(self._state, IDS_WITH_PREFIX, with_prefix(prefix), partition_key=partition)
