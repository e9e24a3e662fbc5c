"""Events of an orchestration's history, in the JSON shape that ``azure-functions-durable`` reads.

Keys that begin with ``_`` are the engine's own and never reach a function:

- ``_Leaf``: number of the action that caused the event, counted over all leaves of the orchestrator's answer
- ``_Retry``: for actions with retry options ``{attempt, attempts, delay_ms}``; the first attempt is 1
- ``_Leaves``: at the end of an episode, how many leaves the answer had
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

Event = dict[str, Any]

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class EventType(IntEnum):
    """The numbers that the package gives events."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_CREATED = 7
    SUB_ORCHESTRATION_COMPLETED = 8
    SUB_ORCHESTRATION_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_RAISED = 15
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20


CREATIONS = (EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_CREATED, EventType.TIMER_CREATED)
"""Events that take the next number of the orchestration; it is their ``EventId``."""
COMPLETIONS: Mapping[int, str] = {
    EventType.TASK_COMPLETED: "TaskScheduledId",
    EventType.TASK_FAILED: "TaskScheduledId",
    EventType.SUB_ORCHESTRATION_COMPLETED: "TaskScheduledId",
    EventType.SUB_ORCHESTRATION_FAILED: "TaskScheduledId",
    EventType.TIMER_FIRED: "TimerId",
}
"""Events that answer a creation, and the key that holds its number."""
FAILURES = (EventType.TASK_FAILED, EventType.SUB_ORCHESTRATION_FAILED)


def time_text(moment: datetime) -> str:
    """Return a time as it stands in events."""
    return moment.astimezone(UTC).strftime(TIME_FORMAT)


def parse_time(text: str) -> datetime:
    """Read a time of an event or of a timer action; ``ValueError`` if it is none."""
    return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)


def event(kind: EventType, at: datetime, number: int = -1, **fields: Any) -> Event:
    """Return an event. ``number`` is -1 for all but creations."""
    return {
        "EventType": int(kind),
        "EventId": number,
        "IsPlayed": False,
        "Timestamp": time_text(at),
        **fields,
    }


def execution_started(at: datetime, name: str, text: str | None, version: str = "") -> Event:
    """Return the first event of an execution. ``text`` is its input as JSON."""
    return event(EventType.EXECUTION_STARTED, at, Name=name, Input=text, Version=version)


def told(one: Event, *, played: bool) -> Event:
    """Return an event as a function gets to see it."""
    visible = {key: value for key, value in one.items() if not key.startswith("_")}
    visible["IsPlayed"] = played
    return visible


def target(one: Event) -> int | None:
    """Return the number of the creation that an event answers; None for other events."""
    key = COMPLETIONS.get(one["EventType"])
    return None if key is None else int(one[key])
