"""Publish ``engagement_summary``: people by engagement tier, counted from their own state.

A change of a person concerns one tier of each month, and nearly every change is one of a person. So tiers are
not counted with every change. A timer counts all people again, from the summaries in their records.

Up to :data:`PEOPLE_AT_ONCE` people are counted by one query. More are counted in a walk over the shards, in
pieces: after each the counts so far and the positions are stored in ``fleet_state``, in one write. A piece
that two instances count is added once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Any, Self

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.aggregates.tier_counts import TierCounts, TierKey, months_to_publish
from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.retries import retrying
from shared.ledger.reader import Item, StateReader, position_after
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.ledger.shards import ShardId, all_shards
from shared.periods import day_text, monthly
from shared.publishing.churn import ChurnWriter
from shared.publishing.decide import Candidate, Stale, WriteWhen, decide, digest_of, stale_error
from shared.publishing.existing import Address, ExistingDocuments
from shared.publishing.readiness import ViewReadiness
from shared.publishing.rounds import half_day
from shared.publishing.writer import WRITE_CONFLICTS, ViewWriter
from shared.settings import Settings
from shared.units import Month, month_after, month_of, to_millis
from shared.views.base import Stamp
from shared.views.engagement_summary import NAME, SOURCES, render_tiers

PEOPLE_AT_ONCE = 20_000
"""People who are counted by one query, without storing how far it came."""

PEOPLE_PER_PIECE = 5_000
"""People whom a piece of a walk counts, in some seconds."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class TierReport:
    """The outcome of one run."""

    people: int = 0
    """People who were counted."""
    published: int = 0
    """Documents that were written."""
    churn: int = 0
    """Days of which the number of people who churn was written. The feed of ``view_state`` publishes them."""
    unfinished: bool = False
    """Whether the time was up before everybody was counted. The next run continues."""
    stale: list[Stale] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Walk:
    """People are counted as of one moment."""

    moment: int
    """The moment, in milliseconds since the epoch."""
    changed: Sequence[Month]
    everything: bool
    left: Mapping[ShardId, str]
    """By shard that is not done, the lowest id of a person who is not counted."""
    counts: Mapping[str, Any]

    @property
    def now(self) -> datetime:
        """The moment as of which people are counted."""
        return datetime.fromtimestamp(self.moment / 1000, UTC)

    def counted(self) -> TierCounts:
        """Return the counts so far."""
        counts = self.nobody()
        counts.add_stored(self.counts)
        return counts

    def nobody(self) -> TierCounts:
        """Return the counts of nobody."""
        return _nobody(self.now, set(self.changed), self.everything)

    def serves(self, since: int, changed: Set[Month], everything: bool) -> bool:
        """Return whether it counts the state of a time, for everything that is to be published."""
        covers = self.everything or (not everything and changed <= set(self.changed))
        return covers and self.moment >= since * 1000

    def with_piece(
        self, positions: Mapping[ShardId, tuple[str, str | None]], piece: Mapping[str, Any]
    ) -> _Walk:
        """Return the walk with the counts of a piece, unless any of its shards is not where it began.

        Parameters
        ----------
        positions
            Where the piece began in each shard, and where it ended: None at the end of the shard.
        """
        if any(self.left.get(shard) != began for shard, (began, _) in positions.items()):
            return self
        moved = {shard: ended for shard, (_, ended) in positions.items()}
        left = {shard: moved.get(shard, known) for shard, known in self.left.items()}
        counts = self.counted()
        counts.add_stored(piece)
        return replace(
            self, left={shard: at for shard, at in left.items() if at is not None}, counts=counts.encode()
        )

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            stored["moment"], stored["changed"], stored["everything"], stored["left"], stored["counts"]
        )


class TierPublisher:
    """Counts the people of a generation by tier, and publishes the documents of the months concerned."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        progress: ContainerProxy,
        existing: ExistingDocuments,
        writer: ViewWriter,
        readiness: ViewReadiness,
        settings: Settings,
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._churn = ChurnWriter(state=state, readiness=readiness, settings=settings, retention=retention)
        self._reader = StateReader(state)
        self._progress = ControlDocument(progress, Scope.REFRESH, f"tiers-{settings.generation}")
        self._existing = existing
        self._writer = writer
        self._readiness = readiness
        self._generation = settings.generation
        self._shards = all_shards(shards=settings.shards, generation=settings.generation)
        self._clock = clock

    async def publish(
        self,
        now: datetime,
        changed: Set[Month],
        *,
        everything: bool = False,
        asked: int | None = None,
        deadline: float = inf,
    ) -> TierReport:
        """Count everybody and publish. Concurrent and repeated runs are harmless: the latest count stays.

        Months that the sources no longer held whole, or of which they did not hold the month before, are left
        as they are.

        Parameters
        ----------
        now
            The moment as of which people are counted.
        changed
            The months in which the state of anybody has changed: see :func:`months_to_publish`.
        everything
            Whether to publish all months. A change of consent concerns every month of a person.
        asked
            The state of this time has to be counted, in seconds since the epoch: by default that of ``now``.
            A walk that began later, and covers the months, is continued; another one is replaced.
        deadline
            When to begin no further piece, on the monotonic clock in seconds.

        Raises
        ------
        TransientStaleReadError, ConflictError
            Another instance published a later count, or other instances kept writing.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, or other instances kept writing, through all retries.
        """
        report = TierReport()
        stored = await self._progress.read()
        if stored is None:
            counts = await self._count_at_once(_nobody(now, changed, everything), report)
            if counts is not None:
                await self._publish_counts(now, changed, everything, counts, report)
                return report
        since = int(now.timestamp()) if asked is None else asked
        walk = await self._begin(now, changed, everything, since)
        while walk is not None and walk.left:
            if self._clock.monotonic() >= deadline:
                report.unfinished = True
                return report
            walk = await self._count_piece(walk, report)
        if walk is not None:  # otherwise another instance has published it
            await self._publish_counts(walk.now, set(walk.changed), walk.everything, walk.counted(), report)
            await self._update(lambda known: None if known == walk else known)
        return report

    async def _count_at_once(self, counts: TierCounts, report: TierReport) -> TierCounts | None:
        """Count everybody by one query; return None if there are too many people for it."""
        people = 0
        async for row in self._reader.tiers_of_people(self._generation):
            people += 1
            if people > PEOPLE_AT_ONCE:
                return None
            _add(counts, row)
        report.people = people
        return counts

    async def _begin(self, now: datetime, changed: Set[Month], everything: bool, since: int) -> _Walk | None:
        """Return the walk that is stored if it serves, otherwise begin one."""
        begun = _Walk(
            to_millis(now),
            sorted(changed),
            everything,
            dict.fromkeys(self._shards, ""),
            _nobody(now, changed, everything).encode(),
        )
        return await self._update(
            lambda known: known if known and known.serves(since, changed, everything) else begun
        )

    async def _count_piece(self, walk: _Walk, report: TierReport) -> _Walk | None:
        """Count the next people; return the walk as it is stored, None if another instance has ended it."""
        counts = walk.nobody()
        positions, room = dict[ShardId, tuple[str, str | None]](), PEOPLE_PER_PIECE
        left = list(walk.left.items())
        random.shuffle(left)  # so that instances begin with different ones
        for shard, first in left:
            rows = await self._reader.tiers_of_shard(shard, first, room)
            for row in rows:
                _add(counts, row)
            positions[shard] = (first, position_after(rows[-1]["id"]) if len(rows) == room else None)
            room -= len(rows)
            if not room:
                break
        report.people += PEOPLE_PER_PIECE - room
        piece = counts.encode()
        return await self._update(
            lambda known: (
                known.with_piece(positions, piece)
                if known is not None and known.moment == walk.moment
                else known
            )
        )

    async def _update(self, change: Callable[[_Walk | None], _Walk | None]) -> _Walk | None:
        """Change the stored walk; return it. Once there was a walk, people are not counted at once again."""

        def apply(stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            known = _decode(stored)
            changed = change(known)
            if stored is not None and changed == known:
                return None
            return {"walk": None if changed is None else asdict(changed)}

        return _decode(await self._progress.update(apply))

    async def _publish_counts(
        self, now: datetime, changed: Set[Month], everything: bool, counts: TierCounts, report: TierReport
    ) -> None:
        today = day_text(now)
        for month in months_to_publish(counts.months, changed, today, everything=everything):
            if not await self._readiness.may_publish(SOURCES, monthly(month_after(month, -1)).first):
                continue
            key = TierKey.at(month, today)
            tick = half_day(now) if key.as_of == today else key.as_of
            stamp = Stamp(self._generation, to_millis(now), now, tick)
            await retrying(*WRITE_CONFLICTS)(self._publish_month, key, counts, stamp, report)
        if report.stale:
            raise stale_error(NAME, report.stale, now)
        report.churn = await self._churn.write(
            counts.churn.by_day(), to_millis(now), since_ever=counts.churn.since is None
        )
        _log.info("tiers_published", people=report.people, published=report.published, churn=report.churn)

    async def _publish_month(
        self, key: TierKey, counts: TierCounts, stamp: Stamp, report: TierReport
    ) -> None:
        before = counts.of(month_after(key.month, -1))
        for rendered in render_tiers(key, counts.of(key.month), before, stamp):
            address = Address(NAME, rendered.id, rendered.partition)
            digest = digest_of([(key.month, stamp.revision)])
            candidate = Candidate(rendered, stamp, digest, write_when=WriteWhen.CONTENT_CHANGED)
            decision = decide(await self._existing.read(address, use_memory=False), candidate)
            if isinstance(decision, Stale):
                report.stale.append(decision)
                return
            result = await self._writer.write(address, decision, remember=False)
            report.published += result.written


def _decode(stored: Mapping[str, Any] | None) -> _Walk | None:
    if stored is None or stored["walk"] is None or "churn" not in stored["walk"]["counts"]:
        return None  # the last of these: a walk that an earlier release began
    return _Walk.decode(stored["walk"])


def _nobody(now: datetime, changed: Set[Month], everything: bool) -> TierCounts:
    """Return the counts of nobody, for all months that may be published."""
    today = day_text(now)
    first = month_after(min((month_after(month_of(today), -1), *changed)), -1)
    return TierCounts(today, None if everything else first)


def _add(counts: TierCounts, row: Item) -> None:
    record = PersonRecord.decode(row["record"])
    counts.add(Tally.decode(row["state"]), record, refused=bool(row["record"].get("refused")))
