"""Apply changes to one shard: load what the fold needs, commit its writes, and retry on a conflict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.cosmos.retries import FOLD, retrying
from shared.errors import ConflictError, TooLargeError
from shared.ledger.changes import Change, Verdict
from shared.ledger.fold import Folded, fold_changes
from shared.ledger.shards import ShardId
from shared.ledger.store import ShardStore


@dataclass(slots=True)
class FoldResult:
    """The outcome for the changes of one or more shards."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    unknown: list[Change] = field(default_factory=list)
    """Changes whose order only the live document can decide."""
    conflicts: int = 0
    """Attempts that failed because another instance committed first."""
    commits: int = 0

    def add(self, folded: Folded) -> None:
        """Add the outcome of a committed fold."""
        self.verdicts.update(verdict for _, verdict in folded.verdicts)
        self.unknown.extend(change for change, verdict in folded.verdicts if verdict is Verdict.UNKNOWN)
        self.commits += bool(folded.writes)

    def merge(self, other: FoldResult) -> None:
        """Add the outcome for other changes."""
        self.verdicts.update(other.verdicts)
        self.unknown.extend(other.unknown)
        self.conflicts += other.conflicts
        self.commits += other.commits


class ShardWriter:
    """Applies changes to shards of ``view_state``, each exactly once."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store

    async def apply(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult | None = None
    ) -> FoldResult:
        """Fold changes of one source into their shard and commit. Versions counted before are skipped.

        Changes that do not fit into one transaction are split. Each part writes its own ledger entries.

        Parameters
        ----------
        result
            Collects the outcome part by part. After an error it holds the committed parts.

        Raises
        ------
        TooLargeError
            A single change does not fit into one transaction.
        CosmosHttpResponseError, ConflictError
            The service failed, or other instances committed first, in all attempts. Committed parts stay
            counted. Applying the same changes again counts nothing twice.
        """
        result = FoldResult() if result is None else result
        parts = [list(changes)]
        async with self._store.lock(shard):
            while parts:
                part = parts.pop()
                try:
                    attempt = retrying(ConflictError, policy=FOLD)
                    await attempt(self._fold_and_commit, shard, source, part, result)
                except TooLargeError:
                    if len(part) == 1:
                        raise
                    # Sorted by person, so that the halves share as few partials as possible.
                    part.sort(key=lambda change: change.user_id)
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
        return result

    async def _fold_and_commit(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult
    ) -> None:
        try:
            folded = await self._fold(shard, source, changes)
            if folded.writes:
                await self._store.commit(shard, folded.writes)
        except TooLargeError:
            raise
        except BaseException as error:
            # Another instance committed first, this task was cancelled, or the connection broke after the
            # service committed. The cache may be stale; the stored ledger says what is counted.
            result.conflicts += isinstance(error, ConflictError)
            self._store.forget(shard)
            raise
        result.add(folded)

    async def _fold(self, shard: ShardId, source: str, changes: Sequence[Change]) -> Folded:
        """Run the fold with documents from the store."""
        fold = fold_changes(shard, source, changes)
        try:
            need = next(fold)
            while True:
                need = fold.send(await self._store.answer(shard, need))
        except StopIteration as end:
            folded: Folded = end.value
            return folded
