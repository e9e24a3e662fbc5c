"""Write how many people churn on each day into ``view_state``, whose feed then publishes the days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import churn
from shared.aggregates.base import PartialKey
from shared.aggregates.tally import Tally
from shared.concurrency import batched
from shared.cosmos.retries import retrying
from shared.errors import ConflictError
from shared.facts import USER_INTERACTIONS
from shared.ledger.partials import Partial, partial_id
from shared.ledger.reader import StateReader
from shared.ledger.retention import Retention
from shared.ledger.shards import all_shards
from shared.ledger.state import Loaded, Write
from shared.ledger.store import ShardStore
from shared.publishing.readiness import ViewReadiness
from shared.settings import Settings
from shared.units import Day, Millis, day_after

WRITES_PER_TRANSACTION = 50

FIRST_DAY, LAST_DAY = Day("0001-01-01"), Day("9999-12-31")


class ChurnWriter:
    """Writes the partials of ``churn``, all into the first shard of a generation."""

    def __init__(
        self, *, state: ContainerProxy, readiness: ViewReadiness, settings: Settings, retention: Retention
    ) -> None:
        self._reader = StateReader(state)
        self._store = ShardStore(state, cache_bytes=0)
        self._readiness = readiness
        self._retention = retention
        self._shard = all_shards(shards=settings.shards, generation=settings.generation)[0]

    async def write(self, counts: Mapping[Day, Tally], moment: Millis, *, since_ever: bool = False) -> int:
        """Write the counts that differ from the stored ones; return how many.

        A stored count of a later moment stays. So does that of a day before which the generation does not
        know everybody's activity, or not any more. A later count that had nothing to write leaves no trace.

        Parameters
        ----------
        counts
            The counts of consecutive days.
        moment
            The moment as of which people were counted. It is the revision of what is written.
        since_ever
            Whether nobody was present before these days: the stored counts of earlier days become empty.

        Raises
        ------
        ConflictError
            Other instances kept writing, through all retries. The next count writes what differs.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        if since_ever:
            counts = {**await self._emptied(counts), **counts}
        known = {day: tally for day, tally in counts.items() if await self._is_known(day)}
        written = 0
        for days in batched(sorted(known), WRITES_PER_TRANSACTION):
            chosen = {day: known[day] for day in days}
            attempt = retrying(ConflictError)
            count: int = await attempt(self._write_days, chosen, moment)
            written += count
        return written

    async def _emptied(self, counts: Mapping[Day, Tally]) -> dict[Day, Tally]:
        """Return an empty count for each stored day before the first of some counts, or for all if none."""
        last = day_after(min(counts), -1) if counts else LAST_DAY
        return {Day(target.key): Tally() for target in await self._stored(FIRST_DAY, last)}

    async def _is_known(self, day: Day) -> bool:
        return await self._readiness.may_publish((USER_INTERACTIONS,), churn.first_day_needed(day))

    async def _write_days(self, counts: Mapping[Day, Tally], moment: Millis) -> int:
        stored = await self._stored(min(counts), max(counts))
        writes = list(self._changed(counts, stored, moment))
        if writes:
            await self._store.commit(self._shard, writes)
        return len(writes)

    def _changed(
        self, counts: Mapping[Day, Tally], stored: Mapping[PartialKey, Loaded], moment: Millis
    ) -> Iterator[Write]:
        for day, tally in counts.items():
            target = PartialKey(churn.NAME, day)
            known, etag = stored.get(target, Loaded(None, None))
            if known is None and not tally:
                continue
            if isinstance(known, Partial) and (known.revision >= moment or known.state == tally):
                continue
            partial = Partial(self._shard, target, revision=moment, state=tally)
            self._retention.set_ttl(partial, moment)
            yield Write(partial, etag)

    async def _stored(self, first: Day, last: Day) -> dict[PartialKey, Loaded]:
        """Return the stored counts of some days, with their etags."""
        begin, end = (partial_id(PartialKey(churn.NAME, day)) for day in (first, last))
        found = {}
        async for item in self._reader.documents_between(self._shard, begin, f"{end}~"):
            partial = Partial.decode(item)
            found[partial.target] = Loaded(partial, item["_etag"])
        return found
