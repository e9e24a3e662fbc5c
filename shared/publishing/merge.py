"""The state of a key, merged over all shards. A later read reads only the partials that changed."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from azure.cosmos.aio import ContainerProxy

from shared.aggregates.base import PartialKey
from shared.clock import REPLICA_LAG_SECONDS
from shared.concurrency import batched, for_each
from shared.cosmos.items import find_item
from shared.ledger.partials import partial_id
from shared.ledger.reader import StateReader
from shared.ledger.shards import ShardId, shard_of
from shared.publishing.merged_state import MergedState, StoredPartial, owner_of
from shared.settings import Settings

KEYS_PER_QUERY = 50

MAX_CONCURRENT_QUERIES = 8
"""Queries for states of people, each of one shard, that run concurrently."""


class StateMerger:
    """Reads the merged states of the current generation. Remembers those of which all shards have a share."""

    def __init__(self, container: ContainerProxy, settings: Settings) -> None:
        self._state = container
        self._reader = StateReader(container)
        self._settings = settings
        self._merged: OrderedDict[PartialKey, MergedState] = OrderedDict()
        self._weights: dict[PartialKey, int] = {}
        self._newest = 0
        """Time of the newest write of any partial that was read or delivered, in seconds since the epoch."""

    def is_current(self, shard: ShardId) -> bool:
        """Return whether a shard belongs to the current generation."""
        return shard.startswith(f"{self._settings.generation}:")

    def forget(self, target: PartialKey) -> None:
        """Forget a key. The next read reads all shards completely."""
        self._merged.pop(target, None)
        self._weights.pop(target, None)

    def add(self, state: MergedState, delivered: Iterable[StoredPartial]) -> None:
        """Add partials that exist. The replica that was read may not have them yet."""
        for stored in delivered:
            state.add(stored)
            self._newest = max(self._newest, stored.written)

    async def read_merged(self, targets: Iterable[PartialKey]) -> dict[PartialKey, MergedState]:
        """Return the states of keys of which all shards have a share.

        One query per :data:`KEYS_PER_QUERY` keys reads the changes since the last read. It starts
        :data:`REPLICA_LAG_SECONDS` earlier, because the last replica may have lagged. Keys that are not
        remembered are read completely.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        states = {target: self._pop(target) for target in targets}
        unknown = {target: state for target, state in states.items() if not state.complete}
        known = {target: state for target, state in states.items() if state.complete}
        last_read = min((state.read_at for state in known.values()), default=0)
        for group, since in ((unknown, 0), (known, last_read - REPLICA_LAG_SECONDS)):
            newest = self._newest
            for chunk in batched(group, KEYS_PER_QUERY):
                await self._read_partials(chunk, since, group)
            for state in group.values():
                state.complete, state.read_at = True, newest
        self._remember(states)
        return states

    async def read_owned(self, targets: Iterable[PartialKey]) -> dict[PartialKey, MergedState]:
        """Return the states of keys that belong to one person each: one query per shard.

        Raises
        ------
        ValueError
            A key does not belong to one person.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        shards: dict[ShardId, dict[PartialKey, None]] = defaultdict(dict)
        for target in targets:
            owner = owner_of(target)
            if owner is None:
                raise ValueError(f"{target} is not one person's")
            shards[self._shard_of(owner)][target] = None
        states = {target: MergedState() for keys in shards.values() for target in keys}

        async def read(question: tuple[ShardId, list[PartialKey]]) -> None:
            shard, chunk = question
            await self._read_partials(chunk, 0, states, shard)

        questions = [
            (shard, chunk) for shard, keys in shards.items() for chunk in batched(keys, KEYS_PER_QUERY)
        ]
        await for_each(questions, read, max_concurrency=MAX_CONCURRENT_QUERIES)
        return states

    async def read_one(self, target: PartialKey, delivered: Sequence[StoredPartial] = ()) -> MergedState:
        """Return the state of one key: by a point read if it belongs to one person.

        Parameters
        ----------
        delivered
            Partials of the key that exist. The replica that is read may not have them yet.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        owner = owner_of(target)
        if owner is None:
            state = (await self.read_merged([target]))[target]
        else:
            state = MergedState()
            item = await find_item(self._state, partial_id(target), self._shard_of(owner))
            if item is not None:
                state.add(StoredPartial.decode(item))
        self.add(state, delivered)
        return state

    def _pop(self, target: PartialKey) -> MergedState:
        self._weights.pop(target, None)
        return self._merged.pop(target, None) or MergedState()

    def _remember(self, states: Mapping[PartialKey, MergedState]) -> None:
        """Remember states, up to ``merge_bytes``. Those that were read longest ago are dropped first."""
        self._merged.update(states)
        self._weights.update((target, state.weight) for target, state in states.items())
        while sum(self._weights.values()) > self._settings.merge_bytes:
            target, _ = self._merged.popitem(last=False)
            del self._weights[target]

    def _shard_of(self, owner: str) -> ShardId:
        return shard_of(owner, shards=self._settings.shards, generation=self._settings.generation)

    async def _read_partials(
        self,
        targets: Sequence[PartialKey],
        since: int,
        into: Mapping[PartialKey, MergedState],
        shard: ShardId | None = None,
    ) -> None:
        """Query the partials of some keys, of all shards or of one."""
        async for item in self._reader.partials_by_key(targets, since=since, shard=shard):
            stored = StoredPartial.decode(item)
            # The query matches every pair of the aggregates and the keys. Some pairs were not requested.
            if self.is_current(stored.partial.shard) and stored.partial.target in into:
                self.add(into[stored.partial.target], [stored])
