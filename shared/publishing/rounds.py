"""Rounds of work over people: which are due, and what is left of those that have begun. Pure.

A round is one pass of a task over the people of a generation. It begins when the task's slot, an hour or half
a day, is new, and concerns what was written since the round before it began. A small round is one piece.
Otherwise the shards that have something are listed, and each piece moves the positions in some of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, Self

from shared.ledger.shards import ShardId
from shared.periods import day_text
from shared.units import Month


class Task(Enum):
    """What is done for people, in the order in which it is done."""

    CHANGED_HOURLY = "hourly"
    """Publish the hourly documents that changed, and follow pending records."""
    CHANGED_TWICE_A_DAY = "twice a day"
    """Publish the weeks and quarters that changed."""
    AGED = "aged"
    """Publish the documents that change with time alone."""
    CONSENT = "consent"
    """Delete again what is published about people who refuse, and follow pending records."""

    def slot(self, now: datetime) -> str:
        """Return the name of the stretch of time that contains ``now``: one round begins in each."""
        match self:
            case Task.CHANGED_HOURLY:
                return f"{day_text(now)}T{now.hour:02d}"
            case Task.CHANGED_TWICE_A_DAY | Task.AGED:
                return half_day(now)
            case Task.CONSENT:
                return day_text(now)


def half_day(now: datetime) -> str:
    """Return the name of the half of a UTC day that contains ``now``."""
    return f"{day_text(now)}{'am' if now.hour < 12 else 'pm'}"


@dataclass(frozen=True, slots=True)
class Round:
    """The latest round of a task."""

    number: int = 0
    slot: str = ""
    since: int = 0
    """When the round before it began, in seconds since the epoch."""
    began: int = 0
    left: Mapping[ShardId, str] = field(default_factory=dict)
    """By shard that is not done, the lowest id that is not done."""

    def next(self, slot: str, began: int, left: Mapping[ShardId, str]) -> Round:
        """Return the round after this one."""
        return Round(self.number + 1, slot, self.began, began, left)

    def advanced(self, positions: Mapping[ShardId, str | None]) -> Round:
        """Return the round with other positions, None in shards that are done. None of them goes back."""
        left = dict(self.left)
        for shard, position in positions.items():
            if position is None:
                left.pop(shard, None)
            elif shard in left:
                left[shard] = max(left[shard], position)
        return replace(self, left=left)


@dataclass(frozen=True, slots=True)
class TierRequest:
    """That people are to be counted by tier again."""

    asked: int = 0
    """When the latest reason for it arose, in seconds since the epoch; 0 if there is none."""
    months: frozenset[Month] = frozenset()
    """The months in which the state of anybody has changed."""
    everything: bool = False
    """Whether all months are concerned: once in each half day, for changes of consent and with time."""
    half_day: str = ""
    """The half day in which it was asked for last because time has passed."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of all tasks. Stored after each piece."""

    rounds: Mapping[Task, Round] = field(default_factory=dict)
    tiers: TierRequest = TierRequest()

    def of(self, task: Task) -> Round:
        """Return the latest round of a task."""
        return self.rounds.get(task) or Round()

    def is_due(self, task: Task, now: datetime) -> bool:
        """Return whether a new round of a task is to begin: the latest one is done, and the slot is new."""
        latest = self.of(task)
        return not latest.left and latest.slot != task.slot(now)

    def is_finished(self, now: datetime) -> bool:
        """Return whether nothing is left to do until the next slot."""
        idle = all(not self.of(task).left and not self.is_due(task, now) for task in Task)
        return idle and not self.tiers.asked

    def again(self, tasks: Collection[Task]) -> Rounds:
        """Return the rounds so that a new one of some tasks is due, after what is left of the latest ones."""
        rounds = {
            task: replace(each, slot="") if task in tasks else each for task, each in self.rounds.items()
        }
        half_day = "" if Task.AGED in tasks else self.tiers.half_day
        return replace(self, rounds=rounds, tiers=replace(self.tiers, half_day=half_day))

    def with_round(self, task: Task, latest: Round) -> Rounds:
        """Return the rounds with another latest one of a task."""
        return replace(self, rounds={**self.rounds, task: latest})

    def asking_for_tiers(
        self, now: datetime, months: frozenset[Month], *, changed: bool, asked: int
    ) -> Rounds:
        """Return the rounds with a request to count tiers, if there is a reason: a change, or the time."""
        is_new = self.tiers.half_day != half_day(now)
        if not (changed or months or is_new):
            return self
        tiers = TierRequest(asked, self.tiers.months | months, self.tiers.everything or is_new, half_day(now))
        return replace(self, tiers=tiers)

    def with_tiers(self, seen: TierRequest) -> Rounds:
        """Return the rounds without a request that was met, unless there is a later reason."""
        return self if self.tiers != seen else replace(self, tiers=TierRequest(half_day=seen.half_day))

    def encode(self) -> dict[str, Any]:
        """Return the stored form."""
        tiers = {**asdict(self.tiers), "months": sorted(self.tiers.months)}
        return {"rounds": {task.value: asdict(each) for task, each in self.rounds.items()}, "tiers": tiers}

    @classmethod
    def decode(cls, stored: Mapping[str, Any] | None) -> Self:
        """Read the stored form."""
        if stored is None or "rounds" not in stored:
            return cls()
        tiers = stored["tiers"]
        return cls(
            {Task(name): Round(**each) for name, each in stored["rounds"].items()},
            TierRequest(tiers["asked"], frozenset(tiers["months"]), tiers["everything"], tiers["half_day"]),
        )
