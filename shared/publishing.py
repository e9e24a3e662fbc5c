"""Publish views: merge the partials of a key, render, and write the document unless it is older.

Publishing is a function of state and may run any number of times, in any number of instances. Each document
says which state it shows; of two publications the one that shows more wins.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import structlog
from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.concurrency import for_each
from shared.cosmos import blames_service, charging, record_charge, retrying
from shared.ledger import PARTIAL, Partial
from shared.poison import PoisonStore
from shared.settings import Settings
from shared.shards import ShardId
from shared.tally import Tally
from shared.views import VIEWS
from shared.views.base import PartialKey, Scope, Stamp, View

CONCURRENCY = 16
"""Documents published at the same time by one instance."""

REMEMBERED_KEYS = 64
"""Keys of fleet-wide views whose partials an instance keeps: two months of days."""

REMEMBERED_DOCUMENTS = 20_000
"""Published documents whose etag an instance keeps, at some 100 bytes each, to save a read per write."""

OVERLAP_SECONDS = 60
"""A merge reads again what was written this long before the last one: a replica may lag, but not so far."""

_log = structlog.get_logger(__name__)


class StaleReadError(Exception):
    """The merge saw less than what is published: an old delivery, or a replica that lags. Read again.

    If the state itself went back, because ``view_state`` was restored or emptied under the same generation,
    reading again does not help: then the view goes to poison, and a new ``FLEET_GENERATION`` is the way out.
    """


@dataclass(frozen=True, slots=True)
class StoredPartial:
    """A partial as read from ``view_state``, with the time of its write in seconds since the epoch."""

    partial: Partial
    written: int

    @classmethod
    def decode(cls, item: Mapping[str, Any]) -> StoredPartial:
        """Read a stored document."""
        return cls(Partial.decode(item), item["_ts"])


@dataclass(slots=True)
class Merge:
    """The partials of one key, by shard; of each shard the newest that was seen."""

    partials: dict[ShardId, StoredPartial] = field(default_factory=dict)
    complete: bool = False
    """Whether all shards were read once."""

    def see(self, stored: StoredPartial) -> None:
        """Take a partial unless a newer one of its shard is known."""
        known = self.partials.get(stored.partial.shard)
        if known is None or known.partial.revision < stored.partial.revision:
            self.partials[stored.partial.shard] = stored

    @property
    def newest(self) -> int:
        """When the newest partial was written, in seconds since the epoch."""
        return max((stored.written for stored in self.partials.values()), default=0)

    def state(self) -> Tally:
        """Return the sum over all shards."""
        total = Tally()
        for stored in self.partials.values():
            total.merge(stored.partial.state)
        return total

    def stamp(self, generation: int) -> Stamp:
        """Return which state this is."""
        return Stamp(
            generation=generation,
            revision=sum(stored.partial.revision for stored in self.partials.values()),
            as_of=datetime.fromtimestamp(self.newest, UTC),
        )

    def digest(self) -> str:
        """Return a short hash that is the same only for the same partials."""
        vector = sorted((shard, stored.partial.revision) for shard, stored in self.partials.items())
        return sha256(repr(vector).encode()).hexdigest()[:16]


@dataclass(slots=True)
class PublishReport:
    """What became of a batch of changed partials."""

    partials: int
    published: int = 0
    current: int = 0
    """Documents that showed this state already."""
    poisoned: int = 0
    request_units: float = 0.0
    requests: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Published:
    etag: str
    generation: int
    revision: int
    digest: str


class Publisher:
    """Writes the containers of all published views from ``view_state``."""

    def __init__(self, *, database: DatabaseProxy, poison: PoisonStore, settings: Settings) -> None:
        self._database = database
        self._state = database.get_container_client("view_state")
        self._poison = poison
        self._generation = settings.generation
        self._merges: OrderedDict[PartialKey, Merge] = OrderedDict()
        self._documents: OrderedDict[PartialKey, _Published] = OrderedDict()
        self._locks: dict[PartialKey, asyncio.Lock] = {}

    async def publish(self, changes: Sequence[Mapping[str, Any]]) -> PublishReport:
        """Publish every key that changed.

        Parameters
        ----------
        changes
            Documents of ``view_state`` as its change feed delivers them; ledger pages and partials of
            another generation are passed over.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries. Publishing the same changes again is harmless.
        """
        started = time.monotonic()
        targets = self._targets(changes)
        report = PublishReport(partials=sum(map(len, targets.values())))

        async def one(target: PartialKey) -> None:
            await self._publish_isolated(target, targets[target], report)

        with charging() as charge:
            try:
                await for_each(targets, one, at_once=CONCURRENCY)
            finally:
                report.request_units, report.requests = charge.request_units, charge.requests
                report.seconds = time.monotonic() - started
        if targets:
            _log_batch(report)
        return report

    def _targets(self, changes: Iterable[Mapping[str, Any]]) -> dict[PartialKey, list[StoredPartial]]:
        targets: dict[PartialKey, list[StoredPartial]] = {}
        for change in changes:
            view = VIEWS.get(str(change.get("view")))
            if change.get("kind") != PARTIAL or view is None or view.container is None:
                continue
            stored = StoredPartial.decode(change)
            if self._is_current(stored.partial.shard):
                targets.setdefault(stored.partial.target, []).append(stored)
        return targets

    def _is_current(self, shard: ShardId) -> bool:
        return shard.startswith(f"{self._generation}:")

    async def _publish_isolated(
        self, target: PartialKey, delivered: list[StoredPartial], report: PublishReport
    ) -> None:
        lock = self._locks.setdefault(target, asyncio.Lock())
        try:
            async with lock:
                written = await self._publish_key(target, delivered)
        except Exception as error:
            if blames_service(error):
                raise
            await self._poison.record(
                source="view_state",
                handler=f"publish_{target.view}",
                document=delivered[-1].partial.encode(),
                error=error,
                attempts=1,
            )
            _log.error("view_poisoned", view=target.view, error_type=type(error).__name__)
            report.poisoned += 1
        else:
            report.published += written
            report.current += not written
        finally:
            if not lock.locked():
                self._locks.pop(target, None)

    async def _publish_key(self, target: PartialKey, delivered: list[StoredPartial]) -> bool:
        """Bring one document up to date; return whether it had to be written."""
        view = VIEWS[target.view]
        async for attempt in retrying(
            StaleReadError,
            CosmosAccessConditionFailedError,
            CosmosResourceExistsError,
            CosmosResourceNotFoundError,
        ):
            with attempt:
                try:
                    first = attempt.retry_state.attempt_number == 1
                    merge = await self._merged(view, target, delivered, trust_delivered=first)
                    return await self._write(view, target, merge)
                except Exception:
                    self._merges.pop(target, None)
                    self._documents.pop(target, None)
                    raise
        raise AssertionError("the retry policy either returns or raises")

    async def _merged(
        self, view: View, target: PartialKey, delivered: list[StoredPartial], *, trust_delivered: bool
    ) -> Merge:
        if view.scope is Scope.SHARD and trust_delivered:
            merge = Merge()  # one partial is the whole state, and here it is
        else:
            merge = self._merges.pop(target) if target in self._merges else Merge()
            since = merge.newest - OVERLAP_SECONDS if merge.complete else 0
            async for stored in self._read_partials(target, since):
                merge.see(stored)
            merge.complete = True
            self._merges[target] = merge
            while len(self._merges) > REMEMBERED_KEYS:
                self._merges.popitem(last=False)
        for stored in delivered:
            merge.see(stored)  # what was delivered exists, whatever the replica that was asked knew of it
        return merge

    async def _read_partials(self, target: PartialKey, since: int) -> Any:
        items = self._state.query_items(
            "SELECT * FROM c WHERE c.view = @view AND c.key = @key AND c._ts >= @since",
            parameters=[
                {"name": "@view", "value": target.view},
                {"name": "@key", "value": target.key},
                {"name": "@since", "value": since},
            ],
            response_hook=record_charge,
        )
        async for item in items:
            stored = StoredPartial.decode(item)
            if self._is_current(stored.partial.shard):
                yield stored

    async def _write(self, view: View, target: PartialKey, merge: Merge) -> bool:
        container = self._database.get_container_client(str(view.container))
        stamp, digest = merge.stamp(self._generation), merge.digest()
        published = self._documents.get(target) or await self._read_published(container, view, target.key)
        if published is not None:
            shown = (published.generation, published.revision)
            if published.digest == digest and shown == (stamp.generation, stamp.revision):
                self._remember(target, published)
                return False
            if shown[0] > stamp.generation:
                self._remember(target, published)
                return False
            if shown >= (stamp.generation, stamp.revision):
                raise StaleReadError(f"{target.view}: {shown} is published")
        document = view.render(target.key, merge.state(), stamp)
        document["state"]["digest"] = digest
        if published is None:
            written = await container.create_item(document, no_response=True, response_hook=record_charge)
        else:
            written = await container.replace_item(
                document["id"],
                document,
                etag=published.etag,
                match_condition=MatchConditions.IfNotModified,
                no_response=True,
                response_hook=record_charge,
            )
        etag = written.get_response_headers()["etag"]
        self._remember(target, _Published(etag, stamp.generation, stamp.revision, digest))
        return True

    async def _read_published(self, container: ContainerProxy, view: View, key: str) -> _Published | None:
        try:
            item = await container.read_item(
                view.document_id(key), view.partition(key), response_hook=record_charge
            )
        except CosmosResourceNotFoundError as error:
            record_charge(error.headers or {})
            return None
        state = item.get("state", {})
        return _Published(
            item["_etag"], state.get("generation", 0), state.get("revision", 0), state.get("digest", "")
        )

    def _remember(self, target: PartialKey, published: _Published) -> None:
        self._documents[target] = published
        self._documents.move_to_end(target)
        while len(self._documents) > REMEMBERED_DOCUMENTS:
            self._documents.popitem(last=False)


def _log_batch(report: PublishReport) -> None:
    _log.info(
        "views_published",
        partials=report.partials,
        published=report.published,
        current=report.current,
        poisoned=report.poisoned,
        requests=report.requests,
        request_units=round(report.request_units, 2),
        duration_ms=round(report.seconds * 1000),
    )
