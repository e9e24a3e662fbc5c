"""Publish documents of people in rounds of pieces, so that no invocation goes over everybody.

A piece publishes what up to :data:`KEYS_PER_PIECE` states affect, and is committed in the round's document in
``fleet_state``. A run that ends, or dies, leaves the other pieces to the next one. Several instances may work
on one round: they begin with different shards, and a piece that two of them do is published once.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import churn, day, person, person_month
from shared.aggregates.base import PartialKey
from shared.aggregates.person_month import split_key
from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.control import ControlDocument, Scope
from shared.ledger.reader import Selected, Selection, StateReader, position_after
from shared.ledger.shards import ShardId
from shared.publishing.consent import ConsentKeeper
from shared.publishing.plan import DocumentKey, documents_affected_by
from shared.publishing.publisher import Publisher
from shared.publishing.report import PublishReport
from shared.publishing.rounds import Round, Rounds, Task
from shared.settings import Settings
from shared.units import Day, Month
from shared.views import VIEWS
from shared.views.base import Schedule

KEYS_PER_PIECE = 500
"""States that one piece reads, of some 250 people. It takes seconds, and holds a few megabytes."""

PENDING_WEIGHT = 50
"""States as which a pending record counts: all documents of the person follow it."""

REREAD_SECONDS = 600
"""Each round also reads the writes of this many seconds before the last round, because clocks differ and
replicas lag. Documents that carry the state already are not written again."""

ListDays = Callable[[set[Day]], Awaitable[None]]
"""Called with the days whose state was written since the last hourly round, before the round is stored."""


@dataclass(slots=True)
class PeopleReport:
    """What one run did for people."""

    changed: int = 0
    """States that were written since the last round."""
    aged: int = 0
    """States whose documents change with time alone."""
    pieces: int = 0
    published: list[PublishReport] = field(default_factory=list)


class PeopleRounds:
    """Works through the rounds of one generation."""

    def __init__(
        self,
        *,
        state: ContainerProxy,
        progress: ContainerProxy,
        publisher: Publisher,
        consent: ConsentKeeper,
        settings: Settings,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._reader = StateReader(state)
        self._progress = ControlDocument(progress, Scope.REFRESH, f"views-{settings.generation}")
        self._publisher = publisher
        self._consent = consent
        self._generation = settings.generation
        self._clock = clock

    async def read(self) -> Rounds:
        """Return the stored rounds.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        return Rounds.decode(await self._progress.read())

    async def update(self, change: Callable[[Rounds], Rounds]) -> Rounds:
        """Change the stored rounds; return them. Changes of other instances are kept.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """

        def apply(stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            known = Rounds.decode(stored)
            changed = change(known)
            return None if stored is not None and changed == known else changed.encode()

        return Rounds.decode(await self._progress.update(apply))

    async def work(
        self, rounds: Rounds, task: Task, deadline: float, list_days: ListDays, report: PeopleReport
    ) -> Rounds:
        """Do what is left of a task, and begin its round if it is due; return the rounds as they are stored.

        Parameters
        ----------
        deadline
            When to begin no further piece, on the monotonic clock in seconds.

        Raises
        ------
        TransientStaleReadError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`Publisher.publish`. The next run repeats the piece.
        """
        while self._clock.monotonic() < deadline:
            if rounds.of(task).left:
                rounds = await self._piece(rounds, task, report)
            elif rounds.is_due(task, self._clock.now()):
                rounds = await self._begin(rounds, task, list_days, report)
            else:
                break
        return rounds

    async def _begin(self, rounds: Rounds, task: Task, list_days: ListDays, report: PeopleReport) -> Rounds:
        """Begin the next round of a task. One that is small is done at once."""
        now, seen = self._clock.now(), rounds.of(task)
        following = seen.next(task.slot(now), int(now.timestamp()), {})
        selection = _selection(task, following)
        rows, rest = await self._first_rows(selection)
        days = {Day(row.target.key) for row in rows if row.target.aggregate == day.NAME}
        if selection is not None and rest:
            of_people = _of_people(task, selection)
            shards = await self._reader.shards_of(self._generation, of_people)
            following = replace(following, left=dict.fromkeys(shards, of_people.first))
            if task is Task.CHANGED_HOURLY:
                days = await self._days(selection)
            rows = []
        await self._publish(task, following, rows, report)
        if task is Task.CHANGED_HOURLY:
            await list_days(days)

        def begun(known: Rounds) -> Rounds:
            if known.of(task) != seen:
                return known
            known = known.with_round(task, following)
            if task is not Task.CHANGED_HOURLY:
                return known
            changed = bool(rows or rest)
            return known.asking_for_tiers(now, _months(rows), changed=changed, asked=following.began)

        return await self.update(begun)

    async def _piece(self, rounds: Rounds, task: Task, report: PeopleReport) -> Rounds:
        """Do the next piece of a round, from one shard or from several."""
        current = rounds.of(task)
        selection = _selection(task, current)
        if selection is None:
            raise ValueError(f"{task} has positions in a round about nothing")
        selection = _of_people(task, selection)
        left = list(current.left.items())
        random.shuffle(left)  # so that instances begin with different ones
        found, weight, positions = list[Selected](), 0, dict[ShardId, str | None]()
        for shard, position in left:
            room = KEYS_PER_PIECE - weight
            rows = await self._reader.selected_of_shard(shard, replace(selection, first=position), room)
            taken = _within(rows, room)
            is_last = len(taken) == len(rows) < room
            positions[shard] = None if is_last else position_after(taken[-1].id)
            found += taken
            weight += sum(map(_weight, taken))
            if weight >= KEYS_PER_PIECE:
                break
        await self._publish(task, current, found, report)

        def done(known: Rounds) -> Rounds:
            latest = known.of(task)
            if latest.number != current.number:
                return known
            known = known.with_round(task, latest.advanced(positions))
            if task is not Task.CHANGED_HOURLY:
                return known
            now = self._clock.now()
            return known.asking_for_tiers(now, _months(found), changed=False, asked=int(now.timestamp()))

        return await self.update(done)

    async def _first_rows(self, selection: Selection | None) -> tuple[list[Selected], bool]:
        """Return a selection, and whether there is more of it than one piece may read.

        Days on which people churn are left out: a count of people writes them, and asks for no further count.
        """
        rows, weight = list[Selected](), 0
        if selection is not None:
            async for row in self._reader.selected(self._generation, selection):
                if row.target.aggregate == churn.NAME:
                    continue
                rows.append(row)
                weight += _weight(row)
                if weight > KEYS_PER_PIECE:
                    return rows, True
        return rows, False

    async def _days(self, selection: Selection) -> set[Day]:
        days = Selection.beginning(f"{day.NAME}|", since=selection.since)
        return {Day(key) for key in await self._reader.keys_of(self._generation, days)}

    async def _publish(self, task: Task, of: Round, rows: Sequence[Selected], report: PeopleReport) -> None:
        """Publish what some states affect."""
        targets = list(dict.fromkeys(row.target for row in rows))
        report.pieces += 1
        match task:
            case Task.CHANGED_HOURLY:
                report.changed += len(targets)
                await self._documents(documents_affected_by(targets, Schedule.HOURLY), report)
            case Task.CHANGED_TWICE_A_DAY:
                await self._documents(documents_affected_by(targets, Schedule.TWICE_A_DAY), report)
            case Task.AGED:
                report.aged += len(targets)
                await self._documents(_aged(targets, of), report)
            case Task.CONSENT:
                for row in rows:
                    if not row.pending:
                        await self._consent.purge(row.target.key)
        for row in rows:
            if row.pending:
                await self._publisher.follow_record(row.target.key)

    async def _documents(self, documents: Sequence[DocumentKey], report: PeopleReport) -> None:
        if documents:
            report.published.append(await self._publisher.publish_documents(documents))


def _selection(task: Task, of: Round) -> Selection | None:
    """Return what a round is about, None if it is about nothing."""
    since = max(0, of.since - REREAD_SECONDS)
    match task:
        case Task.CHANGED_HOURLY:
            return Selection.beginning("", since=since)
        case Task.CHANGED_TWICE_A_DAY:
            return Selection.beginning(f"{person_month.NAME}|", since=since)
        case Task.AGED:
            prefixes = sorted({f"{name}|{prefix}" for _, name, prefix in _prefixes(of)})
            if not prefixes:
                return None
            first, last = (Selection.beginning(prefix) for prefix in (prefixes[0], prefixes[-1]))
            return replace(first, after=last.after)
        case Task.CONSENT:
            return Selection.beginning(f"{person.NAME}|", consent=True)


def _of_people(task: Task, selection: Selection) -> Selection:
    """Return what the pieces of a round are about. The states that all shards share are of no piece."""
    if task is not Task.CHANGED_HOURLY:
        return selection
    return Selection.beginning(person.NAME, since=selection.since)  # with those of person_month


def _prefixes(of: Round) -> list[tuple[str, str, str]]:
    """Return view, aggregate and beginning of the keys whose documents change in the time of a round."""
    since, now = (datetime.fromtimestamp(moment, UTC) for moment in (of.since, of.began))
    return [(name, *keys) for name, view in VIEWS.items() for keys in view.keys_changed_by_time(since, now)]


def _aged(targets: Iterable[PartialKey], of: Round) -> list[DocumentKey]:
    """Return the documents of some states that change in the time of a round."""
    prefixes = _prefixes(of)
    return list(
        dict.fromkeys(
            DocumentKey(name, key)
            for target in targets
            for name, aggregate, prefix in prefixes
            if target.aggregate == aggregate and target.key.startswith(prefix)
            for key in VIEWS[name].keys_affected_by(target)
        )
    )


def _months(rows: Iterable[Selected]) -> frozenset[Month]:
    return frozenset(
        split_key(row.target.key)[0] for row in rows if row.target.aggregate == person_month.NAME
    )


def _weight(row: Selected) -> int:
    return PENDING_WEIGHT if row.pending else 1


def _within(rows: Iterable[Selected], room: int) -> list[Selected]:
    """Return the first rows up to a weight, and at least one of them."""
    taken, weight = list[Selected](), 0
    for row in rows:
        weight += _weight(row)
        if taken and weight > room:
            break
        taken.append(row)
    return taken
