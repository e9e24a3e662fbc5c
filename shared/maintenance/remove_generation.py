"""Remove the state of an earlier generation, after a later one has taken its place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosResourceNotFoundError

from shared.concurrency import for_each
from shared.cosmos.charges import Cost, measured_cost, record_charge
from shared.cosmos.control import Scope
from shared.cosmos.items import is_absent
from shared.cosmos.queries import Query, run_query
from shared.errors import GenerationNeededError
from shared.ledger.apply import ReadRecords
from shared.ledger.earlier_people import earlier_person
from shared.ledger.generations import FIRST_LAYOUT, Generations
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId, all_shards
from shared.settings import Settings

DELETES_PER_TRANSACTION = 25
"""Bounds the request charge of a transaction. A delete costs as much as a write: up to some 500 RU for the
largest documents."""

MAX_CONCURRENT_PARTITIONS = 4

GENERATION_RECORDS = Query(
    "generation_records",
    f"SELECT c.id, c.scope FROM c WHERE c.scope != '{Scope.GENERATIONS}' AND c.scope != '{Scope.PRICES}'",  # noqa: S608
)

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RemovalReport:
    """What a removal deleted, or would delete."""

    generation: int
    partitions: int = 0
    """Logical partitions of ``view_state`` that are done."""
    documents: int = 0
    """Documents of ``view_state``."""
    records: int = 0
    """Documents of ``fleet_state``: cursors and progress."""
    cost: Cost = field(default_factory=Cost)


Progress = Callable[[RemovalReport, int], None]
"""Called after each pass over a partition, with the report so far and the number of partitions."""


class GenerationRemover:
    """Deletes a generation's documents from ``view_state`` and ``fleet_state``. Published views stay.

    A piece is one transaction in one logical partition. A removal that was interrupted is run again, and
    deletes what is left. Two concurrent removals are harmless. The record of the generation is deleted last.

    The register of people knows who refused. It does not know it of the first layout, whose release had no
    register: before a partition of it is emptied, its refusals are registered.
    """

    def __init__(
        self,
        state: ContainerProxy,
        fleet_state: ContainerProxy,
        generations: Generations,
        settings: Settings,
        read_records: ReadRecords,
    ) -> None:
        self._state = state
        self._fleet_state = fleet_state
        self._reader = StateReader(state)
        self._generations = generations
        self._read_records = read_records
        self._current = settings.generation

    async def remove(
        self, number: int, *, dry_run: bool = False, on_progress: Progress = lambda *_: None
    ) -> RemovalReport:
        """Delete the state of a generation that a later one has replaced.

        Parameters
        ----------
        dry_run
            Count, and delete nothing.

        Raises
        ------
        GenerationNeededError
            It is the generation of the settings or a later one, it is not recorded, or the generation of the
            settings is not complete: until then the earlier one can be set again.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. Run the removal again.
        """
        report = RemovalReport(number)
        with measured_cost() as report.cost:
            partitions, layout = await self._partitions(number)
            records = await self._records(number)

            async def one(partition: str) -> None:
                if not dry_run:
                    await self._register_refusals(ShardId(partition), layout)
                while await self._empty(partition, dry_run, report):
                    on_progress(report, len(partitions))
                report.partitions += 1
                on_progress(report, len(partitions))

            await for_each(partitions, one, max_concurrency=MAX_CONCURRENT_PARTITIONS)
            for scope, record_id in records:
                if not dry_run:
                    await self._delete(self._fleet_state, record_id, scope)
                report.records += 1
            if not dry_run:
                await self._generations.forget(number)
        if not dry_run:
            _log.info(
                "generation_removed",
                generation=number,
                documents=report.documents,
                records=report.records,
                **report.cost.log_fields(),
            )
        return report

    async def _partitions(self, number: int) -> tuple[list[str], int]:
        """Return the logical partitions of a generation that may be removed, and its layout.

        The partitions are its shards, and any others.
        """
        if number >= self._current:
            raise GenerationNeededError(
                f"Generation {number} cannot be removed: FLEET_GENERATION is {self._current}, and only "
                "generations before it are not needed any more."
            )
        known = await self._generations.recorded()
        if number not in known:
            raise GenerationNeededError(
                f"Generation {number} is not recorded: it never began, or it has been removed."
            )
        if not await self._generations.is_complete():
            raise GenerationNeededError(
                f"Generation {number} cannot be removed yet: generation {self._current} has not counted "
                "everything."
            )
        shards = all_shards(shards=known[number].shards, generation=number)
        others = await self._reader.other_partitions(number)
        return [*shards, *sorted(others.difference(shards))], known[number].layout

    async def _records(self, number: int) -> list[tuple[str, str]]:
        """Return scope and id of the generation's documents in ``fleet_state``."""
        rows = run_query(self._fleet_state, GENERATION_RECORDS, {})
        return [(row["scope"], row["id"]) async for row in rows if is_of_generation(row["id"], number)]

    async def _register_refusals(self, partition: ShardId, layout: int) -> None:
        """Let the register know of the refusals of a shard's people, if no register existed then."""
        if layout == FIRST_LAYOUT:
            async for stored in self._reader.persons_of_shard(partition):
                if earlier_person(stored, layout).refused:
                    await self._read_records([str(stored["key"])])

    async def _empty(self, partition: str, dry_run: bool, report: RemovalReport) -> bool:
        """Delete or count the documents of a partition. Return whether to read it again."""
        found = False
        async for ids in _pieces(self._reader.ids_of_partition(partition)):
            found = True
            if not dry_run:
                await self._delete_all(partition, ids)
            report.documents += len(ids)
        return found and not dry_run

    async def _delete_all(self, partition: str, ids: Sequence[str]) -> None:
        try:
            await self._state.execute_item_batch(
                [("delete", (document_id,)) for document_id in ids],
                partition_key=partition,
                response_hook=record_charge,
            )
        except CosmosBatchOperationError as error:
            if error.status_code != 404:
                raise
            for document_id in ids:  # another removal, or expiry, deleted one of them
                await self._delete(self._state, document_id, partition)

    async def _delete(self, container: ContainerProxy, document_id: str, partition: str) -> None:
        """Delete a document that may be gone."""
        try:
            await container.delete_item(document_id, partition, response_hook=record_charge)
        except CosmosResourceNotFoundError as error:
            if not is_absent(error):
                raise


async def _pieces(ids: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """Yield the ids in lists of one transaction each. No more than a page of them is in memory."""
    piece: list[str] = []
    async for document_id in ids:
        piece.append(document_id)
        if len(piece) == DELETES_PER_TRANSACTION:
            yield piece
            piece = []
    if piece:
        yield piece


def is_of_generation(record_id: str, number: int) -> bool:
    """Return whether a document of ``fleet_state`` belongs to a generation: ``1|feed`` or ``views-1``."""
    return record_id.startswith(f"{number}|") or record_id.endswith(f"-{number}")
