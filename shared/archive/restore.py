"""Restore archived documents into their containers.

A document is created, never replaced: one that lives is newer than its copy, or the same. Its time to live
begins again. It is marked as restored, in a field that no parser reads, so its fact stays the same. The feed
delivers it, and the ledger counts it once: in place of the entry that it has, or not at all if its month is
closed.

Nobody who is erased comes back: who is erased is asked before the document is created, and once more after
it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import partial
from typing import Any

from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from shared.address import Partition
from shared.archive.content import RESTORED, sha256
from shared.archive.names import PREFIX, day_prefix, document_segments, owner_segment
from shared.archive.store import CONCURRENCY, Archive, Archived, ErasedAmong, Progress
from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import batched, for_each
from shared.containers import ARCHIVED, container
from shared.cosmos.charges import Cost, measured_cost, record_charge
from shared.cosmos.items import NO_URLS, NOT_IN_A_URL, find_item
from shared.errors import RefusedError
from shared.units import iso

CONFLICT, REFUSED = 409, (400, 413)
"""Answers of the service: the document lives; it is malformed or too large."""


class NothingArchivedError(RefusedError):
    """Nothing is archived of what was asked for."""


class Result(StrEnum):
    """What became of a document that was to be restored."""

    RESTORED = "restored"
    """It was created; in a dry run, it would be."""
    LIVE = "live"
    """There is a document of its id: it stays as it is."""
    ERASED = "erased"
    """Its person is erased."""
    ANONYMOUS = "anonymous"
    """The copy has a keyed hash in place of the user id, so it belongs nowhere."""
    DAMAGED = "damaged"
    """The blob is gone, or not what was archived: see ``fleet archive verify``."""
    REFUSED = "refused"
    """The service does not accept it."""


@dataclass(slots=True)
class RestoreReport:
    """The outcome of a restore."""

    results: dict[str, int] = field(default_factory=lambda: {each.value: 0 for each in Result})
    blobs: list[tuple[str, str]] = field(default_factory=list)
    """Names of the blobs that are damaged or refused, with their result. They contain user ids."""
    cost: Cost = field(default_factory=Cost)

    @property
    def documents(self) -> int:
        """How many documents were found."""
        return sum(self.results.values())


class Restorer:
    """Restores archived documents.

    Parameters
    ----------
    erased_among
        Says which people are erased.
    """

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        archive: Archive,
        erased_among: ErasedAmong,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._database = database
        self._archive = archive
        self._erased_among = erased_among
        self._clock = clock

    async def restore(
        self,
        *,
        user_id: str | None = None,
        day: date | None = None,
        document_id: str | None = None,
        dry_run: bool = False,
        on_progress: Progress = lambda done: None,
    ) -> RestoreReport:
        """Restore the documents of a person, of a day, or with an id; with several, those that all fit.

        Of several versions of a document the newest one that was found is restored. A day alone does not find
        the versions that are archived under another day.

        Raises
        ------
        NothingArchivedError
            Nothing is archived of them.
        """
        report = RestoreReport()
        with measured_cost() as report.cost:
            async for group in self._groups(user_id, day, document_id):
                for some in batched(newest(group), 10 * CONCURRENCY):
                    await self._restore_some(some, dry_run, report)
                    on_progress(report.documents)
        if not report.documents:
            raise NothingArchivedError("Nothing is archived of what was asked for.")
        return report

    async def _groups(
        self, user_id: str | None, day: date | None, document_id: str | None
    ) -> AsyncIterator[list[Archived]]:
        """Yield blobs in groups that have all versions of a document that were found."""
        wanted = None if document_id is None else document_segments(document_id)
        if day is None and user_id is None and wanted is not None:
            yield [each async for each in self._archive.find(PREFIX) if each.name.document in wanted]
            return
        if day is None:
            assert user_id is not None  # noqa: S101  one of the three is given
            found = self._archive.find_person(user_id)
            yield [each async for each in found if wanted is None or each.name.document in wanted]
            return
        owners = None if user_id is None else self._archive.owners(user_id)
        group: list[Archived] = []
        async for each in self._archive.find(day_prefix(day)):
            if group and group[0].name.owner != each.name.owner:
                yield group
                group = []
            if (owners is None or each.name.owner in owners) and (
                wanted is None or each.name.document in wanted
            ):
                group.append(each)
        yield group

    async def _restore_some(self, some: Sequence[Archived], dry_run: bool, report: RestoreReport) -> None:
        users = {each.user for each in some if each.user}
        erased = await self._erased_among(users)
        restore = partial(self._restore, erased, dry_run)
        results = await for_each(some, restore, max_concurrency=CONCURRENCY)
        after = set() if dry_run else await self._erased_among(users - erased)
        for each, result in zip(some, results, strict=True):
            if result is Result.RESTORED and each.user in after:
                await self._delete(each)
                result = Result.ERASED
            report.results[result.value] += 1
            if result in (Result.DAMAGED, Result.REFUSED):
                report.blobs.append((each.stored.name, result.value))

    async def _restore(self, erased: AbstractSet[str], dry_run: bool, each: Archived) -> Result:
        if each.name.owner.startswith("=k"):
            return Result.ANONYMOUS
        if each.user in erased:
            return Result.ERASED
        body = await self._body(each)
        if body is None:
            return Result.DAMAGED
        of = self._database.get_container_client(each.container)
        partition = partition_of(each.container, body)
        if dry_run:
            live = await find_item(of, body["id"], partition)
            return Result.RESTORED if live is None else Result.LIVE
        body[RESTORED] = {"at": iso(self._clock.now()), "day": each.name.day.isoformat()}
        try:
            await create(of, body, partition)
        except (CosmosHttpResponseError, CosmosBatchOperationError) as error:
            if error.status_code == CONFLICT:
                return Result.LIVE
            if error.status_code in REFUSED:
                return Result.REFUSED
            raise
        return Result.RESTORED

    async def _body(self, each: Archived) -> dict[str, Any] | None:
        """Return the archived document, None if it is not what was archived."""
        found = await self._archive.blobs.read(each.stored.name)
        if found is None or each.container not in ARCHIVED or sha256(found[0]) != each.sha256:
            return None
        body = json.loads(found[0])
        if not isinstance(body, dict):
            return None
        user_id = body.get("user_id")
        owner = owner_segment(user_id if isinstance(user_id, str) else None)
        return body if owner == each.name.owner else None  # not a copy under another person's name

    async def _delete(self, each: Archived) -> None:
        """Delete what was just restored: its person was erased in between."""
        body = await self._body(each)
        if body is not None:
            of = self._database.get_container_client(each.container)
            partition = _partition_key(partition_of(each.container, body))
            await of.execute_item_batch([("delete", (body["id"],))], partition_key=partition)


def newest(found: Iterable[Archived]) -> list[Archived]:
    """Return the newest version of each document, by when it was written."""
    best: dict[tuple[str, str, str], Archived] = {}
    for each in found:
        key = each.container, each.name.owner, each.name.document
        known = best.get(key)
        if known is None or (each.ts, each.name.version) > (known.ts, known.name.version):
            best[key] = each
    return list(best.values())


def partition_of(name: str, body: dict[str, Any]) -> Any:
    """Return where a container keeps a document: the value of its partition key."""
    value = body.get(container(name).partition_key.removeprefix("/"), Partition.ABSENT)
    scalar = value is None or isinstance(value, str | int | float | Partition)
    return value if scalar else Partition.ABSENT


def _partition_key(partition: Any) -> Any:
    if partition is None:
        return NullPartitionKeyValue
    return NonePartitionKeyValue if partition is Partition.ABSENT else partition


async def create(of: ContainerProxy, body: dict[str, Any], partition: Any) -> None:
    """Create a document of any id that the service stores. The SDK writes some of them in batches only."""
    document_id = body["id"]
    if (
        document_id in NO_URLS
        or not NOT_IN_A_URL.isdisjoint(document_id)
        or document_id.strip() != document_id
    ):
        await of.execute_item_batch(
            [("create", (body,))], partition_key=_partition_key(partition), response_hook=record_charge
        )
    else:
        await of.create_item(body, response_hook=record_charge)
