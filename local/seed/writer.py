"""Writes sample traffic to the database with the async SDK, a bounded number of requests at a time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError

from local.seed.traffic import Write

CONTAINER = "user_interactions"
QUEUE_PER_LANE = 8
"""Writes that wait per worker: enough to keep it busy, few enough to hold memory down."""


@dataclass(slots=True)
class SeedSummary:
    """What a run of the writer wrote."""

    created: int = 0
    already_there: int = 0
    """Creates that found their document: the same seed was written before."""
    replaced: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    """Malformed documents among the created ones, by kind."""
    per_day: Counter[str] = field(default_factory=Counter)
    """Valid interactions by the UTC day of their timestamp."""
    citations: int = 0
    """Citations in the valid interactions."""
    users: set[str] = field(default_factory=set)
    seconds: float = 0.0
    digest: str = ""
    """SHA-256 over all writes in their order: equal for equal seeds."""

    @property
    def documents(self) -> int:
        """Documents that the database holds because of this traffic."""
        return self.created + self.already_there

    @property
    def valid(self) -> int:
        """Documents among them that the views must count."""
        return self.documents - self.malformed.total()

    def as_json(self) -> dict[str, Any]:
        """Return the summary for ``--json``."""
        return {
            "documents": self.documents,
            "created": self.created,
            "already_there": self.already_there,
            "replaced": self.replaced,
            "valid": self.valid,
            "malformed": dict(sorted(self.malformed.items())),
            "users": len(self.users),
            "citations": self.citations,
            "per_day": dict(sorted(self.per_day.items())),
            "seconds": round(self.seconds, 3),
            "digest": self.digest,
        }


def canonical(write: Write) -> bytes:
    """Return the bytes of a write by which two runs are compared."""
    return f"{write.kind} {json.dumps(write.document, ensure_ascii=False)}\n".encode()


async def write_traffic(
    container: ContainerProxy,
    traffic: Iterable[Write],
    *,
    concurrency: int = 16,
    on_progress: Callable[[int], None] | None = None,
) -> SeedSummary:
    """Write ``traffic`` to ``container``, ``concurrency`` requests at a time.

    Writes of one person keep their order; those of different people run side by side. Writing the same
    traffic again changes nothing that the views count.

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
            await apply_write(container, write, summary)
            if on_progress is not None:
                on_progress(1)

    async def feed() -> None:
        for write in traffic:
            digest.update(canonical(write))
            account_for(write, summary)
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
    if write.kind == "replace":
        return
    if write.defect is not None:
        summary.malformed[write.defect] += 1
        return
    summary.per_day[write.document["timestamp"][:10]] += 1
    summary.citations += len(write.document["foundational_texts_used"])
    summary.users.add(write.document["user_id"])


async def apply_write(container: ContainerProxy, write: Write, summary: SeedSummary) -> None:
    """Do one write and count it."""
    if write.kind == "replace":
        await container.replace_item(write.document["id"], write.document)
        summary.replaced += 1
        return
    try:
        await container.create_item(write.document)
    except CosmosResourceExistsError:
        summary.already_there += 1
    else:
        summary.created += 1
