"""Writes sample traffic to the database with the async SDK, a bounded number of requests at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from azure.cosmos.aio import DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceExistsError

from local.seed.accounts import USERS
from local.seed.database import CONTENT
from local.seed.traffic import INTERACTIONS, Write

QUEUE_PER_LANE = 8
"""Writes that wait per worker: enough to keep it busy, few enough to hold memory down."""


@dataclass(slots=True)
class Written:
    """What was written to one container."""

    created: int = 0
    already_there: int = 0
    """Creates that found their document: the same seed was written before."""
    replaced: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    """Malformed documents, by kind."""

    @property
    def documents(self) -> int:
        """Documents that the container holds because of this traffic."""
        return self.created + self.already_there

    @property
    def valid(self) -> int:
        """Documents among them that the views must count."""
        return self.documents - self.malformed.total()


@dataclass(slots=True)
class SeedSummary(Written):
    """What a run of the writer wrote: of interactions, and beside them."""

    beside: defaultdict[str, Written] = field(default_factory=lambda: defaultdict(Written))
    """By the other containers."""
    per_day: Counter[str] = field(default_factory=Counter)
    """Valid interactions by the UTC day of their timestamp."""
    citations: int = 0
    """Citations in the valid interactions."""
    per_person: Counter[str] = field(default_factory=Counter)
    """Valid interactions by their user."""
    refusing: set[str] = field(default_factory=set)
    """Users who, in the end, do not agree to user-level analytics."""
    seconds: float = 0.0
    digest: str = ""
    """SHA-256 over all writes in their order: equal for equal seeds."""

    @property
    def changes(self) -> int:
        """Documents created and replaced in all containers."""
        return sum(one.documents + one.replaced for one in (self, *self.beside.values()))

    @property
    def analysed(self) -> int:
        """Valid interactions of people who agree to user-level analytics."""
        return self.valid - sum(self.per_person[user] for user in self.refusing)

    def of(self, container: str) -> Written:
        """Return what was written to a container."""
        return self if container == INTERACTIONS else self.beside[container]

    def as_json(self) -> dict[str, Any]:
        """Return the summary for ``--json``."""
        return {
            "documents": self.documents,
            "created": self.created,
            "already_there": self.already_there,
            "replaced": self.replaced,
            "valid": self.valid,
            "malformed": dict(sorted(self.malformed.items())),
            "users": len(self.per_person),
            "users_refusing_analytics": len(self.refusing),
            "citations": self.citations,
            "per_day": dict(sorted(self.per_day.items())),
            "seconds": round(self.seconds, 3),
            "digest": self.digest,
            "containers": {
                name: {
                    "documents": one.documents,
                    "created": one.created,
                    "already_there": one.already_there,
                    "replaced": one.replaced,
                    "malformed": dict(sorted(one.malformed.items())),
                }
                for name, one in sorted({INTERACTIONS: self, **self.beside}.items())
            },
        }


def canonical(write: Write) -> bytes:
    """Return the bytes of a write by which two runs are compared."""
    return f"{write.kind} {write.container} {json.dumps(write.document, ensure_ascii=False)}\n".encode()


async def write_traffic(
    database: DatabaseProxy,
    traffic: Iterable[Write],
    *,
    concurrency: int = 16,
    on_progress: Callable[[Write], None] | None = None,
) -> SeedSummary:
    """Write ``traffic`` to ``database``, ``concurrency`` requests at a time.

    Writes of one person keep their order; those of different people run side by side. Content is stored
    before anything that comes after it is sent: the fleet notes no usage of a passage that is not there.
    Writing the same traffic again changes nothing that the views count.

    Parameters
    ----------
    on_progress
        Called with every write that is done.

    Raises
    ------
    azure.core.exceptions.AzureError
        The database refused a write, after the SDK's own retries.
    """
    summary = SeedSummary()
    digest = hashlib.sha256()
    started = monotonic()
    queues: list[asyncio.Queue[Write | None]] = [asyncio.Queue(QUEUE_PER_LANE) for _ in range(concurrency)]

    async def worker(queue: asyncio.Queue[Write | None]) -> None:
        while (write := await queue.get()) is not None:
            await apply_write(database, write, summary)
            queue.task_done()
            if on_progress is not None:
                on_progress(write)

    async def feed() -> None:
        content_under_way = False
        for write in traffic:
            digest.update(canonical(write))
            account_for(write, summary)
            if content_under_way and write.container not in CONTENT:
                for queue in queues:
                    await queue.join()
            content_under_way = write.container in CONTENT
            await queues[write.lane % concurrency].put(write)
        for queue in queues:
            await queue.put(None)

    try:
        async with asyncio.TaskGroup() as group:
            for queue in queues:
                group.create_task(worker(queue))
            group.create_task(feed())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    summary.seconds = monotonic() - started
    summary.digest = digest.hexdigest()
    return summary


def account_for(write: Write, summary: SeedSummary) -> None:
    """Count what a write means for the views, from the document alone."""
    if write.defect is not None:
        summary.of(write.container).malformed[write.defect] += 1
        return
    if write.container == USERS:
        agrees = write.document["privacy_settings"]["analytics_consent"]
        (summary.refusing.discard if agrees else summary.refusing.add)(write.document["user_id"])
    if write.kind == "replace" or write.container != INTERACTIONS:
        return
    summary.per_day[write.document["timestamp"][:10]] += 1
    summary.citations += len(write.document["foundational_texts_used"])
    summary.per_person[write.document["user_id"]] += 1


async def apply_write(database: DatabaseProxy, write: Write, summary: SeedSummary) -> None:
    """Do one write and count it."""
    container, written = database.get_container_client(write.container), summary.of(write.container)
    if write.kind == "replace":
        await container.replace_item(write.document["id"], write.document)
        written.replaced += 1
        return
    try:
        await container.create_item(write.document)
    except CosmosResourceExistsError:
        written.already_there += 1
    else:
        written.created += 1
