"""A person in ``view_state``: taken out of the pages and counts of every generation, and looked for again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from functools import partial

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import AGGREGATES, person_month
from shared.aggregates.base import PartialKey
from shared.concurrency import batched
from shared.errors import ErasureError, TooLargeError
from shared.ledger.apply import ShardWriter
from shared.ledger.erasure import (
    Hour,
    delete_record,
    empty_record,
    erase_entries,
    erase_months,
    mark_erased,
)
from shared.ledger.generations import LAYOUT, Generations
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.ledger.reader import StateReader
from shared.ledger.retention import Retention
from shared.ledger.shards import ShardId, shard_of
from shared.units import Month

ENTRIES_PER_TRANSACTION = 40
HOURS_PER_TRANSACTION = 6
"""A transaction holds a page, a day and more per hour. One that is too large is divided."""

MONTHS_PER_TRANSACTION = 4


@dataclass(slots=True)
class Found:
    """What a shard has of a person."""

    hours: set[Hour] = field(default_factory=set)
    """Sources and hours of pages with entries."""
    entries: int = 0
    months: set[Month] = field(default_factory=set)
    records: int = 0
    """1 if there is a record."""
    is_empty: bool = True
    """Whether the record says no more than that the person is erased."""

    @property
    def counts(self) -> dict[str, int]:
        """Return the numbers, without zeroes."""
        counts = {"entries": self.entries, "months": len(self.months), "records": self.records}
        return {name: number for name, number in counts.items() if number}


class StateEraser:
    """Erases people from the state of every recorded generation."""

    def __init__(self, state: ContainerProxy, writer: ShardWriter, generations: Generations) -> None:
        self._reader = StateReader(state)
        self._writer = writer
        self._generations = generations

    async def erase(self, user_id: str) -> int:
        """Subtract everything about a person; return how many entries there were. The empty record stays.

        Raises
        ------
        ErasureError
            A generation has a layout that this release cannot write.
        DamagedStateError
            Documents of the state are missing, or older than others.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, ConflictError
            The service did not answer, or other instances kept writing. Run it again.
        """
        erased = 0
        async for shard, retention in self._shards(user_id):
            await self._writer.run(shard, partial(mark_erased, shard, user_id, retention=retention))
            found = await self._find(shard, user_id)
            while found.entries or found.months or not found.is_empty:
                for hours in batched(sorted(found.hours), HOURS_PER_TRANSACTION):
                    erased += await self._erase_hours(shard, user_id, hours, retention)
                for months in batched(sorted(found.months), MONTHS_PER_TRANSACTION):
                    await self._writer.run(
                        shard, partial(erase_months, shard, user_id, months, retention=retention)
                    )
                if not found.entries:
                    await self._writer.run(shard, partial(empty_record, shard, user_id, retention=retention))
                found = await self._find(shard, user_id)
        return erased

    async def _erase_hours(
        self, shard: ShardId, user_id: str, hours: Iterable[Hour], retention: Retention
    ) -> int:
        """Take all entries off the pages of some hours, in transactions that fit."""
        erased, left, most = 0, [list(hours)], ENTRIES_PER_TRANSACTION
        while left:
            part = left.pop()
            try:
                step = await self._writer.run(
                    shard, partial(erase_entries, shard, user_id, part, most=most, retention=retention)
                )
            except TooLargeError:
                if len(part) > 1:
                    left += [part[len(part) // 2 :], part[: len(part) // 2]]
                elif most > 1:
                    most //= 2
                    left.append(part)
                else:
                    raise
            else:
                erased += step.entries
                if step.is_unfinished:
                    left.append(part)
        return erased

    async def release(self, user_id: str) -> int:
        """Delete the empty records of an erased person; return how many there were.

        Called when no instance can make a record any more: see ``ERASED_RECORD_SECONDS``.
        """
        deleted = 0
        async for shard, retention in self._shards(user_id):
            step = await self._writer.run(shard, partial(delete_record, shard, user_id, retention=retention))
            deleted += len(step.writes)
        return deleted

    async def find(self, user_id: str) -> dict[str, int]:
        """Return how much all generations have of a person, without zeroes. It reads whole shards."""
        counts: dict[str, int] = {}
        async for shard, _ in self._shards(user_id):
            for name, number in (await self._find(shard, user_id)).counts.items():
                counts[name] = counts.get(name, 0) + number
        return counts

    async def _shards(self, user_id: str) -> AsyncIterator[tuple[ShardId, Retention]]:
        for number, generation in sorted((await self._generations.recorded()).items()):
            if generation.layout != LAYOUT:
                raise ErasureError(
                    f"Generation {number} was counted by another release, and this one cannot subtract from "
                    f"it. Remove it first: `fleet generations remove {number}`."
                )
            shard = shard_of(user_id, shards=generation.shards, generation=number)
            yield shard, Retention(generation.margin_days)

    async def _find(self, shard: ShardId, user_id: str) -> Found:
        """Look through all pages, months and records of a shard."""
        found = Found()
        async for stored in self._reader.pages_of_shard(shard):
            entries = stored["entries"].get(user_id)
            if entries:
                page = Page.decode(stored)
                found.hours.add((page.source, page.hour))
                found.entries += len(entries)
        async for name, key in self._reader.owned_of_shard(shard):
            target = PartialKey(name, key)
            if AGGREGATES[name].owner_of(key) == user_id:
                if name == person_month.NAME:
                    found.months.add(person_month.split_key(target.key)[0])
                else:
                    found.records += 1
        if found.records:
            await self._look_at_record(shard, user_id, found)
        return found

    async def _look_at_record(self, shard: ShardId, user_id: str, found: Found) -> None:
        record = await self._reader.person(shard, user_id)
        if record is not None:
            partial_ = Partial.decode(record)
            found.months.update(Month(month) for month in partial_.state.parts())
            found.is_empty = not partial_.state and set(record.get("record", {})) == {"refused", "erased"}
