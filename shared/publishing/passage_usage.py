"""Write ``usage_metrics`` into ``personality_vectors``: how often and how well a persona cites a passage.

The figures are totals over all kept months, and are computed from the start each time. A vector is found by
what it says: persona, source, chapter and verse, in any spelling. It is written only where its figures
differ, so that a repetition costs nothing and a vector that the content pipeline replaced gets its figures
back. No other field is written: the content pipeline owns the rest of the document.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import structlog
from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosResourceNotFoundError

from shared.aggregates.tally import ratio
from shared.builds.content import part_of
from shared.builds.rows import CitedRow, Kind
from shared.builds.store import DerivedStore, Manifest
from shared.concurrency import for_each
from shared.cosmos.charges import record_charge
from shared.cosmos.items import is_absent, partition_of, sdk_partition
from shared.cosmos.queries import Query, run_query
from shared.scores import response_effectiveness, satisfaction
from shared.units import MICROS, Month
from shared.views.reference import Named, is_passage, newest_content

MAX_VECTORS = 100_000
"""Vectors that are held in memory, of about 500 bytes each. More are written in several passes."""

MAX_CONCURRENT_WRITES = 8

VECTORS = Query(
    "vectors",
    "SELECT c.id, c.partition_key, c.personality_id, c.source, c.source_metadata, c.chapter, c.verse,"
    " c.content_type, c.usage_metrics, c.schema_version, c.profile_version, c._etag FROM c",
)

_log = structlog.get_logger(__name__)


class Vector(NamedTuple):
    """A document of ``personality_vectors``: what it is about, and the figures that it has."""

    id: str
    partition: Any
    etag: str
    key: str
    """Key of its passage in a content, ``krishna|bhagavad_gita|2|47``."""
    usage: Mapping[str, Any] | None

    @classmethod
    def decode(cls, item: Mapping[str, Any], newest: Mapping[str, Any]) -> Self:
        """Read some fields of a document, and of the same in its newest version."""
        persona, passage = Named.of(newest)
        usage = item.get("usage_metrics")
        return cls(
            item["id"],
            sdk_partition(partition_of(item, "partition_key")),
            item["_etag"],
            f"{persona}|{passage.key}",
            usage if isinstance(usage, Mapping) else None,
        )

    @property
    def was_cited(self) -> bool:
        """Whether its figures say that it was cited."""
        return bool(self.usage and self.usage.get("citation_count"))


@dataclass(slots=True)
class PassageUsageReport:
    """What one run found and wrote."""

    patched: int = 0
    """Vectors whose figures were written."""
    current: int = 0
    """Vectors of cited passages that had these figures."""
    absent: int = 0
    """Passages, as a persona cites them, for which the content pipeline has no document."""
    changed: int = 0
    """Vectors that were replaced or deleted in the meantime. The next run writes them."""


class PassageUsageWriter:
    """Computes the usage of passages from the contents of months, and writes it into the vectors."""

    def __init__(self, *, store: DerivedStore, vectors: ContainerProxy) -> None:
        self._store = store
        self._vectors = vectors

    async def write(self, months: Iterable[Month]) -> PassageUsageReport:
        """Write the figures of all vectors that differ from the contents of these months.

        Raises
        ------
        CosmosResourceNotFoundError
            A content was built again while it was read. A repetition is harmless.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. A repetition is harmless.
        """
        report = PassageUsageReport()
        contents = list((await self._store.manifests(months)).values())
        groups = 1
        while (vectors := await self._vectors_of_group(0, groups)) is None:
            groups *= 2
        await self._write_group(contents, 0, groups, vectors, report)
        for group in range(1, groups):
            vectors = await self._vectors_of_group(group, groups) or {}
            await self._write_group(contents, group, groups, vectors, report)
        _log.info("usage_written", patched=report.patched, absent=report.absent, changed=report.changed)
        return report

    async def _vectors_of_group(self, group: int, groups: int) -> dict[str, list[Vector]] | None:
        """Return the vectors of some passages, by passage; None if those of the first group are too many."""
        found: dict[str, list[Vector]] = defaultdict(list)
        number = 0
        async for item in run_query(self._vectors, VECTORS, {}):
            newest = newest_content(item)
            if newest is None or not is_passage(item):
                continue
            vector = Vector.decode(item, newest)
            if part_of(Kind.PASSAGES, vector.key, groups) == group:
                found[vector.key].append(vector)
                number += 1
            if group == 0 and number > MAX_VECTORS:
                return None
        return dict(found)

    async def _write_group(
        self,
        contents: list[Manifest],
        group: int,
        groups: int,
        vectors: dict[str, list[Vector]],
        report: PassageUsageReport,
    ) -> None:
        async for totals in self._totals(contents, group, groups):
            work = []
            for key, row in totals.items():
                found = vectors.pop(key, [])
                report.absent += not found
                work += [(vector, usage_metrics(row)) for vector in found]
            await self._write_vectors(work, report)
        # The passages of the other vectors are not cited in any kept month.
        nothing = usage_metrics(CitedRow())
        left = [(v, nothing) for found in vectors.values() for v in found if v.was_cited]
        await self._write_vectors(left, report)

    async def _totals(
        self, contents: list[Manifest], group: int, groups: int
    ) -> AsyncIterator[dict[str, CitedRow]]:
        """Yield the figures of passages, part by part of a group."""
        async for _, _, (content,) in self._store.read([contents], groups, group):
            yield {key: CitedRow(*row) for key, row in content.rows(Kind.PASSAGES).items()}

    async def _write_vectors(
        self, work: list[tuple[Vector, dict[str, Any]]], report: PassageUsageReport
    ) -> None:
        different = [(vector, usage) for vector, usage in work if vector.usage != usage]
        report.current += len(work) - len(different)

        async def one(item: tuple[Vector, dict[str, Any]]) -> bool:
            return await self._patch(*item)

        written = await for_each(different, one, max_concurrency=MAX_CONCURRENT_WRITES)
        report.patched += written.count(True)
        report.changed += written.count(False)

    async def _patch(self, vector: Vector, usage: Mapping[str, Any]) -> bool:
        """Write the figures of one vector. Return False if the document changed since it was read."""
        try:
            await self._vectors.patch_item(
                vector.id,
                vector.partition,
                [{"op": "set", "path": "/usage_metrics", "value": usage}],
                etag=vector.etag,
                match_condition=MatchConditions.IfNotModified,
                no_response=True,
                response_hook=record_charge,
            )
        except CosmosAccessConditionFailedError:
            return False
        except CosmosResourceNotFoundError as error:
            if not is_absent(error):
                raise
            record_charge(error.headers or {})
            return False
        return True


def usage_metrics(row: CitedRow) -> dict[str, Any]:
    """Return the specification's block for a persona's citations of a passage.

    ``last_accessed`` is the start of the last UTC day on which it was cited.
    """
    mean, day = ratio(row.relevance, row.relevances * MICROS), str(row.last)
    return {
        "citation_count": row.citations,
        "last_accessed": f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00Z" if row.citations else None,
        "avg_relevance_score": mean,
        "user_rating_avg": ratio(row.rating, row.ratings, 2),
        "effectiveness_score": response_effectiveness(
            satisfaction_score=satisfaction(rating_sum=row.rating, ratings=row.ratings),
            relevance=mean,
            citation_accuracy=None,
        ),
    }
