"""Numbers for what an orchestrator asks for, in the order in which the package gives them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local.host.durable.answers import ActionType, Answer, Leaf
from local.host.durable.episodes import Episode, goes_on
from local.host.durable.history import CREATIONS, Event, EventType, event, parse_time, target, time_text
from local.host.durable.work import Activity, Instance, SubOrchestration, Timer


@dataclass(slots=True)
class Plan:
    """Gives numbers to what is to be done, in the order of the calls."""

    instance: Instance
    at: datetime
    number: int
    events: list[Event] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    sub_orchestrations: list[SubOrchestration] = field(default_factory=list)

    def schedule(self, index: int, leaf: Leaf, attempt: int) -> None:
        """Schedule an action; those that wait for an event or continue as new need nothing.

        Raises
        ------
        ValueError, OverflowError
            A time that there is not, or a name that is no Unicode text.
        """
        kind = leaf["actionType"]
        retry = _retry(leaf, attempt)
        if kind in (ActionType.CALL_ACTIVITY, ActionType.CALL_ACTIVITY_WITH_RETRY):
            name, text = _unicode(leaf["functionName"]), str(leaf["input"])
            self.activities.append(Activity(self.number, name, text))
            self._create(EventType.TASK_SCHEDULED, index, retry, Name=name, Input=text)
        elif kind in (ActionType.CALL_SUB_ORCHESTRATOR, ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY):
            self._start(index, leaf, retry)
        elif kind == ActionType.CREATE_TIMER:
            self.set_timer(index, parse_time(str(leaf["fireAt"])), {}, cancelled=bool(leaf["isCanceled"]))

    def set_timer(
        self, index: int, fire_at: datetime, retry: Mapping[str, Any], *, cancelled: bool = False
    ) -> None:
        """Set a timer, or only give it a number if it is cancelled already."""
        if not cancelled:
            self.timers.append(Timer(self.number, fire_at))
        self._create(EventType.TIMER_CREATED, index, retry, FireAt=time_text(fire_at))

    def _start(self, index: int, leaf: Leaf, retry: Mapping[str, Any]) -> None:
        name, text = _unicode(leaf["functionName"]), str(leaf["input"])
        instance_id = _unicode(leaf.get("instanceId") or f"{self.instance.execution_id}:{self.number}")
        version = _unicode(leaf.get("version") or "")
        one = SubOrchestration(self.number, name, text, instance_id, version)
        self.sub_orchestrations.append(one)
        self._create(
            EventType.SUB_ORCHESTRATION_CREATED,
            index,
            retry,
            Name=name,
            Input=text,
            InstanceId=one.instance_id,
        )

    def _create(self, kind: EventType, index: int, retry: Mapping[str, Any], **fields: Any) -> None:
        self.events.append(event(kind, self.at, self.number, _Leaf=index, **fields, **retry))
        self.number += 1


def _unicode(value: Any) -> str:
    """Return a text that the file can hold; :class:`UnicodeEncodeError` if a surrogate stands alone in it."""
    text = str(value)
    text.encode()
    return text


def _retry(leaf: Leaf, attempt: int) -> dict[str, Any]:
    options = leaf.get("retryOptions")
    if not options:
        return {}
    delay = int(options["firstRetryIntervalInMilliseconds"])
    attempts = int(options["maxNumberOfAttempts"])
    return {"_Retry": {"attempt": attempt, "attempts": attempts, "delay_ms": delay}}


def plan_retries(plan: Plan, episode: Episode, answer: Answer) -> None:
    """Set a timer for each attempt that failed, and schedule the next one for each timer that fired.

    Raises
    ------
    ValueError, OverflowError
        As :meth:`Plan.schedule`.
    """
    created = {one["EventId"]: one for one in episode.history if one["EventType"] in CREATIONS}
    for message in episode.new:
        number = target(message)
        if number is None or not goes_on(created[number], message):
            continue
        index, retry = created[number]["_Leaf"], created[number]["_Retry"]
        if message["EventType"] == EventType.TIMER_FIRED:
            plan.schedule(index, answer.leaves[index], attempt=retry["attempt"] + 1)
        else:
            fire_at = episode.at + timedelta(milliseconds=retry["delay_ms"])
            plan.set_timer(index, fire_at, {"_Retry": retry})
