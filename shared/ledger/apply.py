"""Apply changes to one shard: load what the fold needs, commit its writes, and retry on a conflict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from shared.aggregates.person_record import PersonRecord
from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.retries import FOLD, LAG, retrying
from shared.errors import ConflictError, DamagedStateError, TooLargeError
from shared.facts import USERS
from shared.ledger.accounts import fold_accounts
from shared.ledger.changes import Change, Verdict
from shared.ledger.fold import Folded, fold_changes
from shared.ledger.needs import DocumentsById, RecordsOf
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId
from shared.ledger.sizes import MAX_MOVED_INCIDENTS
from shared.ledger.store import ShardStore
from shared.units import Millis

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class FoldResult:
    """The outcome for the changes of one or more shards."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    unknown: list[Change] = field(default_factory=list)
    """Changes whose order only the live document can decide."""
    refused: list[tuple[Change, Verdict]] = field(default_factory=list)
    """Changes that were not counted, because a state has no room."""
    overridden: list[Change] = field(default_factory=list)
    """Live versions that took the place of a counted one. A newer version may have been counted since they
    were read."""
    conflicts: int = 0
    """Attempts that failed because another instance committed first."""
    commits: int = 0

    def add(self, folded: Folded, *, counts_verdicts: bool = True) -> None:
        """Add the outcome of a committed fold. A repetition for incidents has no verdicts of its own."""
        self.commits += bool(folded.writes)
        if counts_verdicts:
            self.verdicts.update(verdict for _, verdict in folded.verdicts)
            self.unknown.extend(change for change, verdict in folded.verdicts if verdict is Verdict.UNKNOWN)
            self.refused.extend(one for one in folded.verdicts if one[1] in (Verdict.FULL, Verdict.CROWDED))
            self.overridden.extend(
                change
                for change, verdict in folded.verdicts
                if change.live and verdict in (Verdict.REPLACED, Verdict.UNCOUNTED)
            )

    def merge(self, other: FoldResult) -> None:
        """Add the outcome for other changes."""
        self.verdicts.update(other.verdicts)
        self.unknown.extend(other.unknown)
        self.refused.extend(other.refused)
        self.overridden.extend(other.overridden)
        self.conflicts += other.conflicts
        self.commits += other.commits


@dataclass(frozen=True, slots=True)
class _Part:
    """Changes that are folded in one transaction."""

    changes: Sequence[Change]
    moves: int = MAX_MOVED_INCIDENTS
    """Incidents that may follow their interactions in the same transaction."""
    is_repetition: bool = False
    """Whether the changes are counted already. Only incidents that have to follow them are left."""

    @property
    def is_divisible(self) -> bool:
        """Whether less can be done in one transaction. A repetition moves at least one incident."""
        return len(self.changes) > 1 or self.moves > int(self.is_repetition)

    def divided(self) -> list[_Part]:
        """Return two halves, the first one last; of a single change, the change with half of the moves."""
        if len(self.changes) == 1:
            return [replace(self, moves=self.moves // 2)]
        # Sorted by person, so that the halves share as few partials as possible.
        ordered = sorted(self.changes, key=lambda change: change.user_id)
        middle = len(ordered) // 2
        return [replace(self, changes=half) for half in (ordered[middle:], ordered[:middle])]


ReadRecords = Callable[[Collection[str]], Awaitable[Mapping[str, PersonRecord]]]
"""Returns the records of people who have no state yet, by user id."""


class ShardWriter:
    """Applies changes to shards of ``view_state``, each exactly once.

    Parameters
    ----------
    read_records
        Reads what is known of people without state: their accounts, and what an earlier generation knows.
    """

    def __init__(
        self,
        store: ShardStore,
        read_records: ReadRecords,
        *,
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._retention = retention
        self._store = store
        self.read_records = read_records
        self._clock = clock

    async def apply(
        self, shard: ShardId, source: str, changes: Sequence[Change], result: FoldResult | None = None
    ) -> FoldResult:
        """Fold changes of one source into their shard and commit. Versions counted before are skipped.

        Changes that do not fit into one transaction are split. Each part writes its own ledger entries. The
        incidents of one interaction may not fit into the transaction that counts it either: they follow in
        later ones. If the process dies in between, the next delivery of the interaction moves the rest.
        Incidents for which the month of their new text has no room stay in that of the old one.

        Parameters
        ----------
        result
            Collects the outcome part by part. After an error it holds the committed parts.

        Raises
        ------
        TooLargeError
            A single change does not fit into one transaction.
        DamagedStateError
            Documents of the shard are missing, or older than others.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, ConflictError
            The service failed, or other instances committed first, in all attempts. Committed parts stay
            counted. Applying the same changes again counts nothing twice.
        """
        result = FoldResult() if result is None else result
        parts = [_Part(list(changes))]
        async with self._store.lock(shard):
            while parts:
                part = parts.pop()
                attempt, again = retrying(ConflictError, policy=FOLD), retrying(DamagedStateError, policy=LAG)
                try:
                    folded: Folded = await again(attempt, self._fold_and_commit, shard, source, part, result)
                except TooLargeError:
                    if part.is_divisible:
                        parts += part.divided()
                    elif part.is_repetition:
                        _log.error("incidents_not_moved", shard=shard)
                    else:
                        raise
                else:
                    result.add(folded, counts_verdicts=not part.is_repetition)
                    if folded.unfinished:
                        parts.append(_Part(part.changes, is_repetition=True))
        return result

    async def _fold_and_commit(self, shard: ShardId, source: str, part: _Part, result: FoldResult) -> Folded:
        try:
            folded = await self._fold(shard, source, part.changes, part.moves)
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
        return folded

    async def _fold(self, shard: ShardId, source: str, changes: Sequence[Change], moves: int) -> Folded:
        """Run the fold with documents from the store, and records of new people from their sources."""
        now = Millis(round(self._clock.timestamp() * 1000))
        if source == USERS:
            fold = fold_accounts(shard, changes, now, retention=self._retention)
        else:
            fold = fold_changes(shard, source, changes, now, moves=moves, retention=self._retention)
        try:
            need = next(fold)
            while True:
                match need:
                    case DocumentsById(ids, stored):
                        need = fold.send(await self._store.load(shard, ids, stored=stored))
                    case RecordsOf(users):
                        need = fold.send(await self.read_records(users))
        except StopIteration as end:
            folded: Folded = end.value
            return folded
