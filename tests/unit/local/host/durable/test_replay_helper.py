"""The helper that runs orchestrators without a host notices those that are not deterministic."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from tests.durable_replay import START, Call, StuckError, replay

Orchestration = Iterator[Any]
Context = df.DurableOrchestrationContext


def fan_out(context: Context) -> Orchestration:
    parts = yield context.call_activity("list", context.get_input())
    sizes = yield context.task_all([context.call_activity("size", part) for part in parts])
    context.set_custom_status({"parts": len(sizes)})
    return sum(sizes)


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("seed", range(5))
def test_fan_out(batch: int, seed: int) -> None:
    run = replay(
        fan_out,
        "all",
        activities={"list": lambda name: [f"{name}{n}" for n in range(5)], "size": len},
        batch=batch,
        shuffle=random.Random(seed),
    )
    assert (run.status, run.output, run.custom_status) == ("Completed", 20, {"parts": 5})
    assert len(run.calls) == 6


def test_a_decorated_orchestrator_is_run_too() -> None:
    blueprint = df.Blueprint()
    decorated = blueprint.orchestration_trigger(context_name="context")(fan_out)
    assert replay(decorated, "x", activities={"list": list, "size": len}).output == 1


def test_a_failed_activity_is_tried_again_after_its_pause() -> None:
    def orchestrator(context: Context) -> Orchestration:
        return (yield context.call_activity_with_retry("flaky", df.RetryOptions(60_000, 3), "x"))

    failures = [ValueError("one"), ValueError("two")]

    def flaky(name: str) -> str:
        if failures:
            raise failures.pop()
        return name + "!"

    run = replay(orchestrator, activities={"flaky": flaky})
    assert (run.output, run.calls) == ("x!", [Call("flaky", "x")] * 3)
    assert run.ended_at - START >= timedelta(minutes=2)


def test_a_wait_ends_with_the_event_or_with_the_timer() -> None:
    def orchestrator(context: Context) -> Orchestration:
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=30))
        approval = context.wait_for_external_event("approval")
        winner = yield context.task_any([approval, timer])
        if winner == timer:
            return "late"
        timer.cancel()
        return approval.result

    assert replay(orchestrator, events=[("approval", {"by": "a"})]).output == {"by": "a"}
    assert replay(orchestrator).output == "late"


def test_continue_as_new_begins_another_execution() -> None:
    def orchestrator(context: Context) -> Orchestration:
        left = context.get_input()
        yield context.call_activity("work", left)
        if left:
            context.continue_as_new(left - 1)
        return "done"

    run = replay(orchestrator, 3, activities={"work": lambda _: None})
    assert (run.output, run.executions) == ("done", 4)
    assert [call.input for call in run.calls] == [3, 2, 1, 0]


def test_an_orchestrator_that_fails_says_why() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("work")
        raise ValueError("no")

    run = replay(orchestrator, activities={"work": lambda _: None})
    assert (run.status, run.output) == ("Failed", "Orchestrator function 'orchestrator' failed: no")


def test_what_is_drawn_or_measured_in_an_orchestrator_is_noticed() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("work", str(uuid.uuid4()))

    with pytest.raises(AssertionError, match="replayed"):
        replay(orchestrator, activities={"work": lambda _: None})


def test_an_orchestrator_that_depends_on_how_often_it_ran_is_noticed() -> None:
    runs: list[int] = []

    def orchestrator(context: Context) -> Orchestration:
        runs.append(1)
        yield context.call_activity("even" if len(runs) % 2 else "odd")
        yield context.call_activity("last")

    with pytest.raises(AssertionError):
        replay(orchestrator, activities=dict.fromkeys(("even", "odd", "last"), lambda _: None))


def test_a_wait_without_end_is_noticed() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.wait_for_external_event("never")

    with pytest.raises(StuckError):
        replay(orchestrator)


def test_an_event_is_raised_when_it_is_waited_for() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        first = yield context.wait_for_external_event("a")
        both = yield context.task_all([context.wait_for_external_event(name) for name in ("b", "a")])
        return [first, *both]

    assert replay(orchestrator, events=[("a", 1), ("a", 2), ("b", 3)]).output == [1, 3, 2]


def test_a_call_that_is_not_scripted_is_noticed() -> None:
    def orchestrator(context: Context) -> Orchestration:
        yield context.call_activity("unknown")

    with pytest.raises(AssertionError, match="activity unknown, which is not scripted"):
        replay(orchestrator)
