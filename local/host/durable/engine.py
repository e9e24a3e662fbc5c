"""The decisions of an orchestration: history and messages in, work and more history out. Pure.

An *episode* is one call of the orchestrator. ``episodes.begin`` puts new messages behind the history, the
caller has the function called with ``episodes.trigger_text``, and :func:`finish` reads its answer.

The answer lists all actions so far, without numbers. The package numbers its tasks by itself while it
replays, so that the numbers given here have to be the same. It gives them

1. to the actions of a ``yield``, in their order, when the orchestrator comes to it, and
2. to the timer and the next attempt of an action with retries, when the failure or the timer is replayed.

The two mix only within one episode. So ``episodes.begin`` puts the messages of the second kind first. They
never let the orchestrator go on, since what it waits for is not decided by them, and all numbers of the
second kind come before those of the first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from local.host.durable.answers import UNSUPPORTED, ActionType, Answer
from local.host.durable.episodes import Episode, open_creations
from local.host.durable.history import CREATIONS, Event, EventType, event
from local.host.durable.plan import Plan, plan_retries
from local.host.durable.work import ContinuedAsNew, Decision, Ended, Instance


class NonDeterminismError(Exception):
    """An orchestrator's answer contradicts its history."""


def finish(instance: Instance, episode: Episode, answer: Answer) -> Decision:
    """Read an orchestrator's answer."""
    for leaf in answer.leaves:
        if leaf["actionType"] in UNSUPPORTED:
            name = UNSUPPORTED[leaf["actionType"]]
            return fail(instance, episode, f"{name} is not supported by the local host")
    try:
        _check_deterministic(episode, answer)
    except NonDeterminismError as error:
        return fail(instance, episode, f"Non-Deterministic workflow detected: {error}")
    plan = Plan(instance, episode.at, 1 + max(_numbers(episode.history), default=-1))
    known = _known_leaves(episode.history)
    try:
        plan_retries(plan, episode, answer)
        for index, leaf in enumerate(answer.leaves[known:], known):
            plan.schedule(index, leaf, attempt=1)
    except (ValueError, OverflowError) as error:  # it would ask for the same again, for ever
        return fail(instance, episode, f"it asked for what cannot be done: {error}")
    completed = event(EventType.ORCHESTRATOR_COMPLETED, episode.at, _Leaves=len(answer.leaves))
    end = _end(instance, answer)
    events = (*episode.new, *plan.events, *_ending(end, episode.at), completed)
    return Decision(
        events=events,
        activities=tuple(plan.activities),
        timers=() if end else tuple(plan.timers),
        sub_orchestrations=tuple(plan.sub_orchestrations),
        cancelled=() if end else _cancelled(episode.history, answer),
        end=end,
        custom_status=answer.custom_status,
    )


def fail(instance: Instance, episode: Episode, reason: str) -> Decision:
    """End an execution whose orchestrator did not answer, or answered what cannot be done."""
    end = Ended("Failed", f"Orchestrator function '{instance.name}' failed: {reason}")
    completed = event(EventType.ORCHESTRATOR_COMPLETED, episode.at)
    return Decision((*episode.new, *_ending(end, episode.at), completed), end=end)


def terminate(episode: Episode) -> Decision:
    """End an execution because a message says so."""
    end = Ended("Terminated", episode.terminated or "")
    completed = event(EventType.ORCHESTRATOR_COMPLETED, episode.at)
    return Decision((*episode.new, *_ending(end, episode.at), completed), end=end)


def _numbers(history: Sequence[Event]) -> list[int]:
    return [one["EventId"] for one in history if one["EventType"] in CREATIONS]


def _known_leaves(history: Sequence[Event]) -> int:
    return max((one.get("_Leaves", 0) for one in history), default=0)


_CREATED_BY: Mapping[int, EventType] = {
    ActionType.CALL_ACTIVITY: EventType.TASK_SCHEDULED,
    ActionType.CALL_ACTIVITY_WITH_RETRY: EventType.TASK_SCHEDULED,
    ActionType.CALL_SUB_ORCHESTRATOR: EventType.SUB_ORCHESTRATION_CREATED,
    ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY: EventType.SUB_ORCHESTRATION_CREATED,
    ActionType.CREATE_TIMER: EventType.TIMER_CREATED,
}


def _check_deterministic(episode: Episode, answer: Answer) -> None:
    """Compare the answer with what the history says this execution asked for before."""
    known = _known_leaves(episode.history)
    if len(answer.leaves) < known:
        raise NonDeterminismError(
            f"the orchestrator asked for {known} actions before, and for {len(answer.leaves)} now"
        )
    for one in episode.history:
        if one["EventType"] not in CREATIONS:
            continue
        leaf = answer.leaves[one["_Leaf"]]
        is_retry_timer = one["EventType"] == EventType.TIMER_CREATED and "_Retry" in one
        expected = _CREATED_BY.get(leaf["actionType"])
        if is_retry_timer:
            same = "retryOptions" in leaf
        else:
            same = expected == one["EventType"] and leaf.get("functionName") == one.get("Name")
        if not same:
            was = EventType(one["EventType"]).name.lower()
            raise NonDeterminismError(
                f"action {one['_Leaf']} was {was} {one.get('Name') or ''} before, and is "
                f"{ActionType(leaf['actionType']).name.lower()} {leaf.get('functionName') or ''} now"
            )


def _cancelled(history: Sequence[Event], answer: Answer) -> tuple[int, ...]:
    return tuple(
        number
        for number, one in open_creations(history).items()
        if one["EventType"] == EventType.TIMER_CREATED and answer.leaves[one["_Leaf"]].get("isCanceled")
    )


def _end(instance: Instance, answer: Answer) -> Ended | ContinuedAsNew | None:
    if answer.error is not None:
        return Ended("Failed", f"Orchestrator function '{instance.name}' failed: {answer.error}")
    for leaf in answer.leaves:
        if leaf["actionType"] == ActionType.CONTINUE_AS_NEW:
            return ContinuedAsNew(str(leaf["input"]))
    return Ended("Completed", json.dumps(answer.output)) if answer.done else None


def _ending(end: Ended | ContinuedAsNew | None, at: datetime) -> tuple[Event, ...]:
    if not isinstance(end, Ended):
        return ()  # of what continues as new, no history is kept
    return (event(EventType.EXECUTION_COMPLETED, at, OrchestrationStatus=end.status, Result=end.output),)
