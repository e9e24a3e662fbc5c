"""Apply changes to one shard: load what the fold needs, commit its writes, and retry on a conflict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from shared.aggregates.person_record import PersonRecord
from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.retries import FOLD, LAG, RECORD_SECONDS, retrying
from shared.errors import ConflictError, DamagedStateError, TooLargeError
from shared.facts import USERS
from shared.ledger.accounts import fold_accounts
from shared.ledger.changes import Change, Verdict
from shared.ledger.fold import fold_changes
from shared.ledger.known_accounts import ConsentChange
from shared.ledger.needs import Answer, DocumentsById, Fold, Folded, Need, RecordsOf
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId
from shared.ledger.sizes import MAX_MOVED_INCIDENTS
from shared.ledger.state import Write
from shared.ledger.store import ShardStore
from shared.units import Millis, to_millis

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


ReadRecords = Callable[[Collection[str]], Awaitable[Mapping[str, PersonRecord | None]]]
"""Returns the records of people who have no state yet, by user id; None for a person who was erased."""

FollowConsents = Callable[[Sequence[ConsentChange], "RunFold"], Awaitable[None]]
"""Called before changes of consent are committed, and again if the commit is repeated."""


async def _follow_nothing(consents: Sequence[ConsentChange], run: RunFold) -> None:
    return None


class Writes(Protocol):
    """The result of a fold."""

    @property
    def writes(self) -> Sequence[Write]:
        """The documents to write in one transaction."""


Result = TypeVar("Result", bound=Writes)


class ShardWriter:
    """Applies changes to shards of ``view_state``, each exactly once.

    Parameters
    ----------
    read_records
        Reads what is known of people without state: their accounts, and what an earlier generation knows.
    follow_consents
        Lets later generations know of changes of consent.
    """

    def __init__(
        self,
        store: ShardStore,
        read_records: ReadRecords,
        *,
        follow_consents: FollowConsents = _follow_nothing,
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.retention = retention
        self._store = store
        self.read_records = read_records
        self._follow_consents = follow_consents
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
                begin = partial(self._begin, shard, source, part)
                try:
                    folded: Folded = await _with_retries(self._fold_and_commit, shard, begin, result)
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

    def _begin(self, shard: ShardId, source: str, part: _Part, now: Millis) -> Fold:
        if source == USERS:
            return fold_accounts(shard, part.changes, now, retention=self.retention)
        return fold_changes(shard, source, part.changes, now, moves=part.moves, retention=self.retention)

    async def run(self, shard: ShardId, begin: Callable[[Millis], Generator[Need, Answer, Result]]) -> Result:
        """Run a fold on a shard and commit its writes; return its result. Nobody has to know of its consents.

        Parameters
        ----------
        begin
            Begins the fold at a time. Called again after a conflict.

        Raises
        ------
        TooLargeError, DamagedStateError, ConflictError
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`apply`. Nothing was committed.
        """
        async with self._store.lock(shard):
            done: Result = await _with_retries(self._fold_and_commit, shard, begin, None)
            return done

    async def _fold_and_commit(
        self,
        shard: ShardId,
        begin: Callable[[Millis], Generator[Need, Answer, Result]],
        outcome: FoldResult | None,
    ) -> Result:
        try:
            folded, records_read = await self._drive(shard, begin(to_millis(self._clock.now())))
            if outcome is not None and isinstance(folded, Folded) and folded.consents:
                await self._follow_consents(folded.consents, self.run)
            if records_read is not None and self._clock.monotonic() - records_read > RECORD_SECONDS:
                raise ConflictError(f"shard {shard}: what is known of people was read too long ago")
            if folded.writes:
                await self._store.commit(shard, folded.writes)
        except TooLargeError:
            raise
        except BaseException as error:
            # Another instance committed first, this task was cancelled, or the connection broke after the
            # service committed. The cache may be stale; the stored ledger says what is counted.
            if outcome is not None:
                outcome.conflicts += isinstance(error, ConflictError)
            self._store.forget(shard)
            raise
        return folded

    async def _drive(
        self, shard: ShardId, fold: Generator[Need, Answer, Result]
    ) -> tuple[Result, float | None]:
        """Run a fold with documents from the store, and records of new people from their sources.

        Returns the result, and when records were read, on the monotonic clock; None if none were.
        """
        records_read: float | None = None
        try:
            need = next(fold)
            while True:
                match need:
                    case DocumentsById(ids, stored):
                        need = fold.send(await self._store.load(shard, ids, stored=stored))
                    case RecordsOf(users):
                        records_read = records_read or self._clock.monotonic()
                        need = fold.send(await self.read_records(users))
        except StopIteration as end:
            result: Result = end.value
            return result, records_read


def _with_retries(work: Callable[..., Awaitable[Any]], *arguments: Any) -> Awaitable[Any]:
    """Fold and commit, again after a conflict, and after a lag that looks like damage."""
    attempt, again = retrying(ConflictError, policy=FOLD), retrying(DamagedStateError, policy=LAG)
    return again(attempt, work, *arguments)


class RunFold(Protocol):
    """:meth:`ShardWriter.run`."""

    async def __call__(
        self, shard: ShardId, begin: Callable[[Millis], Generator[Need, Answer, Result]]
    ) -> Result: ...
