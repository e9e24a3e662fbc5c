"""Fold changes into one shard: bring its state, apply the fold, commit, and start over on a conflict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.cosmos.retries import FOLD, retrying
from shared.errors import ConflictError, TooLargeError
from shared.ledger.changes import Change, Verdict
from shared.ledger.fold import Working
from shared.ledger.shards import ShardId
from shared.ledger.store import ShardStore


@dataclass(slots=True)
class FoldResult:
    """What became of the changes of one or more shards."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    unknown: list[Change] = field(default_factory=list)
    """Changes about which only the live document can tell."""
    conflicts: int = 0
    commits: int = 0

    def merge(self, other: FoldResult) -> None:
        """Add what became of other changes."""
        self.verdicts.update(other.verdicts)
        self.unknown.extend(other.unknown)
        self.conflicts += other.conflicts
        self.commits += other.commits


class ShardFolder:
    """Folds changes into shards of ``view_state``."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store

    async def fold(
        self, shard: ShardId, source: str, changes: Sequence[Change], into: FoldResult | None = None
    ) -> FoldResult:
        """Fold changes into their shard, exactly once each, whatever was counted before.

        Too many changes for one transaction are split; each part carries its own ledger entries.

        Parameters
        ----------
        into
            Takes what became of the changes, part by part: of those too that were committed before an error.

        Raises
        ------
        TooLargeError
            A single change needs more than one transaction can hold.
        CosmosHttpResponseError, ConflictError
            The service kept failing, or others kept winning, through all retries. What was committed stays
            counted; folding the same changes again adds nothing twice.
        """
        result = FoldResult() if into is None else into
        try:
            result.merge(await self._fold(shard, source, changes))
        except TooLargeError:
            if len(changes) == 1:
                raise
        else:
            return result
        # Neighbours by person: halves then share as few partials as can be.
        ordered = sorted(changes, key=lambda change: change.user_id)
        middle = len(ordered) // 2
        await self.fold(shard, source, ordered[:middle], result)
        return await self.fold(shard, source, ordered[middle:], result)

    async def _fold(self, shard: ShardId, source: str, changes: Sequence[Change]) -> FoldResult:
        conflicts = 0
        async with self._store.lock(shard):
            async for attempt in retrying(ConflictError, policy=FOLD):
                with attempt:
                    try:
                        result = await self._attempt(shard, source, changes)
                    except TooLargeError:
                        raise
                    except BaseException as error:
                        # Lost against another writer, cancelled, or cut off after the service committed:
                        # what is cached may be stale, and the ledger knows what was counted.
                        conflicts += isinstance(error, ConflictError)
                        self._store.forget(shard)
                        raise
                    result.conflicts = conflicts
                    return result
        raise AssertionError("the retry policy either returns or raises")

    async def _attempt(self, shard: ShardId, source: str, changes: Sequence[Change]) -> FoldResult:
        store, working = self._store, Working(shard, source)
        working.take(await store.load(shard, working.needed_at_first(changes)))
        working.take(await store.load(shard, working.needed_parts(changes)))
        missing = working.missing(changes)
        if missing:
            # A page that is cached as it was before the document came onto it would hide the document.
            pages = await store.find_pages(shard, missing)
            working.take(await store.load(shard, pages, pages))
        decided = working.decide(changes)
        working.take(await store.load(shard, working.needed_partials()))
        working.take(await store.load(shard, working.needed_months()))
        working.derive()
        working.take(await store.load(shard, working.needed_partials()))
        writes = working.writes()
        if writes:
            await store.commit(shard, writes)
        return FoldResult(
            verdicts=Counter(verdict for _, verdict in decided),
            unknown=[change for change, verdict in decided if verdict is Verdict.UNKNOWN],
            commits=int(bool(writes)),
        )
