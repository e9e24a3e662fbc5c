"""Merge the partials of a key: its state over all shards, read again only as far as it changed."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import AGGREGATES
from shared.aggregates.base import PartialKey
from shared.aggregates.tally import Tally, merged
from shared.concurrency import batched, for_each
from shared.cosmos.items import find_item
from shared.ledger.partials import Partial, partial_id
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId, shard_of
from shared.ledger.sizes import MEMORY_PER_JSON_BYTE
from shared.settings import Settings

KEYS_PER_QUERY = 50
MAX_CONCURRENT_SHARDS = 8

OVERLAP_SECONDS = 60
"""A merge reads again what was written this long before the last one: a replica may lag, but not so far."""


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
    read_at: int = 0
    """The newest write that was known of when they were read last, in seconds since the epoch."""

    def see(self, stored: StoredPartial) -> None:
        """Take a partial unless a newer one of its shard is known."""
        known = self.partials.get(stored.partial.shard)
        if known is None or known.partial.revision < stored.partial.revision:
            self.partials[stored.partial.shard] = stored

    @property
    def weight(self) -> int:
        """Roughly how many bytes of memory it takes."""
        return sum(stored.partial.weight for stored in self.partials.values()) * MEMORY_PER_JSON_BYTE

    @property
    def newest(self) -> int:
        """When the newest partial was written, in seconds since the epoch."""
        return max((stored.written for stored in self.partials.values()), default=0)

    @property
    def newest_at(self) -> datetime:
        """When the newest partial was written."""
        return datetime.fromtimestamp(self.newest, UTC)

    @property
    def revision(self) -> int:
        """Grows with every write to any of the partials."""
        return sum(stored.partial.revision for stored in self.partials.values())

    def revisions(self) -> list[tuple[ShardId, int]]:
        """Return the revision of each shard: the same only for the same state."""
        return sorted((shard, stored.partial.revision) for shard, stored in self.partials.items())

    def state(self) -> Tally:
        """Return the sum over all shards."""
        return merged(stored.partial.state for stored in self.partials.values())


class Merger:
    """Reads and remembers the merges of the current generation."""

    def __init__(self, container: ContainerProxy, settings: Settings) -> None:
        self._state = container
        self._reader = StateReader(container)
        self._settings = settings
        self._merges: OrderedDict[PartialKey, Merge] = OrderedDict()
        self._weights: dict[PartialKey, int] = {}
        self._newest = 0
        """The newest write that was seen, of any partial."""

    def is_current(self, shard: ShardId) -> bool:
        """Say whether a shard belongs to the current generation."""
        return shard.startswith(f"{self._settings.generation}:")

    def forget(self, target: PartialKey) -> None:
        """Read everything again next time."""
        self._merges.pop(target, None)
        self._weights.pop(target, None)

    async def refresh(self, targets: Iterable[PartialKey]) -> dict[PartialKey, Merge]:
        """Return the merges of keys that all shards have a share of; one query reads all that are known."""
        merges = {target: self._take(target) for target in targets}
        for complete in (False, True):
            group = {target: merge for target, merge in merges.items() if merge.complete is complete}
            known_of = self._newest
            since = min((merge.read_at for merge in group.values()), default=0) - OVERLAP_SECONDS
            for chunk in batched(group, KEYS_PER_QUERY):
                await self._read_shares(chunk, since if complete else 0, group)
            for merge in group.values():
                merge.complete, merge.read_at = True, known_of
        self._remember(merges)
        return merges

    def _take(self, target: PartialKey) -> Merge:
        self._weights.pop(target, None)
        return self._merges.pop(target, None) or Merge()

    def _remember(self, merges: Mapping[PartialKey, Merge]) -> None:
        """Keep merges as far as there is room, those that were asked for last."""
        self._merges.update(merges)
        self._weights.update((target, merge.weight) for target, merge in merges.items())
        while sum(self._weights.values()) > self._settings.merge_bytes:
            target, _ = self._merges.popitem(last=False)
            del self._weights[target]

    async def of_people(self, targets: Iterable[PartialKey]) -> dict[PartialKey, Merge]:
        """Return the merges of keys of which one shard has all, each read once: one query per shard."""
        shards: dict[ShardId, dict[PartialKey, None]] = defaultdict(dict)
        for target in targets:
            person = AGGREGATES[target.aggregate].owner_of(target.key)
            if person is None:
                raise ValueError(f"{target} is not one person's")
            shards[self._shard_of(person)][target] = None
        merges = {target: Merge() for keys in shards.values() for target in keys}

        async def read(question: tuple[ShardId, list[PartialKey]]) -> None:
            shard, chunk = question
            await self._read_shares(chunk, 0, merges, shard)

        questions = [
            (shard, chunk) for shard, keys in shards.items() for chunk in batched(keys, KEYS_PER_QUERY)
        ]
        await for_each(questions, read, max_concurrency=MAX_CONCURRENT_SHARDS)
        return merges

    async def merge(
        self, target: PartialKey, delivered: Sequence[StoredPartial], *, trust_delivered: bool
    ) -> Merge:
        """Return the merge of a key.

        Parameters
        ----------
        delivered
            Partials of the key that are known to exist, whatever the replica that is asked knows of them.
        trust_delivered
            Of one person's state take what was delivered for the whole, without a read.
        """
        person = AGGREGATES[target.aggregate].owner_of(target.key)
        if person is None:
            merge = (await self.refresh([target]))[target]
        else:
            merge = Merge()
            if not (delivered and trust_delivered):
                await self._read_one(target, person, merge)
        self.see(merge, delivered)
        return merge

    def see(self, merge: Merge, delivered: Iterable[StoredPartial]) -> None:
        """Take partials that are known to exist into a merge."""
        for stored in delivered:
            merge.see(stored)
            self._newest = max(self._newest, stored.written)

    def _shard_of(self, person: str) -> ShardId:
        return shard_of(person, shards=self._settings.shards, generation=self._settings.generation)

    async def _read_shares(
        self,
        targets: Sequence[PartialKey],
        since: int,
        into: Mapping[PartialKey, Merge],
        shard: ShardId | None = None,
    ) -> None:
        """Read what all shards have of some keys, or one shard has."""
        async for item in self._reader.partials_by_key(targets, since=since, shard=shard):
            stored = StoredPartial.decode(item)
            # Aggregates and keys are asked for apart: some pairs nobody wants.
            if self.is_current(stored.partial.shard) and stored.partial.target in into:
                self.see(into[stored.partial.target], [stored])

    async def _read_one(self, target: PartialKey, person: str, merge: Merge) -> None:
        item = await find_item(self._state, partial_id(target), self._shard_of(person))
        if item is not None:
            merge.see(StoredPartial.decode(item))
