"""Episodes: which messages an orchestrator gets to see in one call, and in which order. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from local.host.durable.history import CREATIONS, FAILURES, Event, EventType, event, parse_time, target, told
from local.host.durable.work import Instance


@dataclass(frozen=True, slots=True)
class Episode:
    """History, and what is new since: an ``OrchestratorStarted`` and the messages that count."""

    history: tuple[Event, ...]
    new: tuple[Event, ...]
    terminated: str | None = None
    """The reason, if the execution is to be terminated: its function is not called any more."""

    @property
    def idle(self) -> bool:
        """Whether no message counts, so that there is nothing to call."""
        return self.terminated is None and len(self.new) == 1

    @property
    def at(self) -> datetime:
        """When the episode began: the orchestrator's ``current_utc_datetime``."""
        return parse_time(self.new[0]["Timestamp"])


@dataclass(frozen=True, slots=True)
class Inbox:
    """Messages of an instance that may be suspended, without those that wait until it is resumed."""

    suspended: bool
    read: tuple[int, ...] = ()
    """Positions of the messages that are dealt with."""
    messages: tuple[Event, ...] = ()
    """Those of them that concern the execution."""


def sort_inbox(messages: Sequence[Event], *, suspended: bool) -> Inbox:
    """Say which messages an instance reads now. While it is suspended, only a termination reaches it."""
    read: list[int] = []
    delivered: list[Event] = []
    held: list[int] = []
    for position, message in enumerate(messages):
        kind = message["EventType"]
        if kind == EventType.EXECUTION_SUSPENDED:
            suspended = True
        elif kind == EventType.EXECUTION_RESUMED:
            suspended = False
            read += held
            delivered += [messages[each] for each in held]
            held = []
        elif suspended and kind != EventType.EXECUTION_TERMINATED:
            held.append(position)
            continue
        else:
            delivered.append(message)
        read.append(position)
    return Inbox(suspended, tuple(read), tuple(delivered))


def begin(history: Sequence[Event], messages: Sequence[Event], now: datetime) -> Episode:
    """Put messages behind the history. Those that answer nothing, or again, are left out."""
    started = event(EventType.ORCHESTRATOR_STARTED, now)
    for message in messages:
        if message["EventType"] == EventType.EXECUTION_TERMINATED:
            return Episode(tuple(history), (started, message), terminated=str(message.get("Input") or ""))
    waiting = open_creations(history)
    first: list[Event] = []
    retries: list[Event] = []
    rest: list[Event] = []
    for message in messages:
        number = target(message)
        if message["EventType"] == EventType.EXECUTION_STARTED:
            if not history and not first:
                first.append(message)
        elif number is None:
            rest.append(message)
        else:
            created = waiting.pop(number, None)
            if created is not None:
                (retries if goes_on(created, message) else rest).append(message)
    return Episode(tuple(history), (started, *first, *retries, *rest))


def trigger_text(instance: Instance, episode: Episode) -> str:
    """Return what the orchestration trigger hands to the function."""
    history = [told(one, played=True) for one in episode.history]
    history += [told(one, played=False) for one in episode.new]
    return json.dumps(
        {
            "history": history,
            "input": None if instance.input is None else as_text(instance.input),
            "instanceId": instance.instance_id,
            "isReplaying": bool(episode.history),
            "parentInstanceId": instance.parent.instance_id if instance.parent else None,
            # 1 alone would be replay schema V2; the second field selects V3.
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            # Not set: a timer may be of any length here, so the package need not chain short ones.
            "maximumShortTimerDuration": None,
            "longRunningTimerIntervalDuration": None,
        }
    )


def as_text(document: str) -> str:
    """Return the text inside a JSON text, or the document itself if it holds anything else.

    The client of the package encodes an input twice, a direct request once; the function decodes once.
    """
    value = json.loads(document)
    return value if isinstance(value, str) else document


def open_creations(history: Sequence[Event]) -> dict[int, Event]:
    """Return by number what was created and is not answered."""
    waiting = {one["EventId"]: one for one in history if one["EventType"] in CREATIONS}
    for one in history:
        number = target(one)
        if number is not None:
            waiting.pop(number, None)
    return waiting


def goes_on(created: Event, message: Event) -> bool:
    """Whether an answer makes the package give a number: to a retry's timer, or to its next attempt.

    After the last failure there is one more timer; the package fails the task when it fires.
    """
    retry = created.get("_Retry")
    if retry is None:
        return False
    if message["EventType"] == EventType.TIMER_FIRED:
        return bool(retry["attempt"] < retry["attempts"])
    return message["EventType"] in FAILURES
