"""Random orchestrations: written as data, run by the package, and worked out without it.

A program is a list of steps, each a list that begins with its kind. :func:`expected` says what it returns; it
knows nothing of histories, hosts or the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from hypothesis import strategies as st

Program = list[list[Any]]

small = st.integers(0, 9)
act = st.builds(lambda x: ["act", x], small)
fail = st.builds(lambda x: ["fail", x], small)
retry = st.builds(
    lambda x, failures, attempts: ["retry", x, failures, attempts], small, *[st.integers(1, 3)] * 2
)
timer = st.builds(lambda seconds: ["timer", seconds], st.integers(0, 40))
event = st.just(["event"])
simple = st.one_of(act, retry, timer, event)
either = st.builds(lambda one, other: ["any", one, other], st.one_of(act, retry), st.one_of(retry, timer))


def steps(depth: int) -> st.SearchStrategy[list[Any]]:
    """Return a strategy of steps, with sub-orchestrations ``depth`` deep."""
    inner = [simple]
    if depth:
        rounds = st.integers(0, 2)
        inner.append(st.builds(lambda program, more: ["sub", program, more], programs(depth - 1), rounds))
    many = st.builds(lambda parts: ["all", parts], st.lists(st.one_of(*inner), min_size=1, max_size=5))
    broken = st.builds(lambda parts, x: ["all-fails", parts, x], st.lists(act, max_size=3), small)
    return st.one_of(*inner, fail, many, broken, either)


def programs(depth: int = 2) -> st.SearchStrategy[Program]:
    """Return a strategy of programs."""
    return st.lists(steps(depth), min_size=1, max_size=5)


def expected(program: Program) -> list[Any]:
    """Work out what a program returns."""
    return [_value(step) for step in program]


def _value(step: list[Any]) -> Any:
    match step:
        case ["act", x]:
            return x * 10
        case ["retry", x, failures, attempts]:
            return x * 100 if failures < attempts else "failed"
        case ["fail", _] | ["all-fails", *_]:
            return "failed"
        case ["sub", program, _]:
            return expected(program)
        case ["all", parts]:
            # One attempt too few fails the whole, whatever else succeeds.
            values = [_value(part) for part in parts]
            return "failed" if any(part[0] == "retry" and part[2] >= part[3] for part in parts) else values
    return step[0]


def events_of(program: Program, rounds: int) -> list[str]:
    """Return the names of the events that a program waits for, without those of sub-orchestrations."""
    keys = [(step, f"{rounds}.{number}") for number, step in enumerate(program)]
    return [name for step, key in keys for name in _events(step, key)]


def _events(step: list[Any], key: str) -> list[str]:
    if step[0] == "all":
        return [name for n, part in enumerate(step[1]) for name in _events(part, f"{key}.{n}")]
    return [key] if step[0] == "event" else []


def interpret(context: df.DurableOrchestrationContext) -> Iterator[Any]:
    """Run a program; the orchestrator ``interpret``. ``rounds`` more executions follow."""
    given = context.get_input()
    done = []
    for number, step in enumerate(given["program"]):
        done.append((yield from _run(context, step, f"{given['rounds']}.{number}")))
    if given["rounds"]:
        context.continue_as_new({**given, "rounds": given["rounds"] - 1})
    return done


def _run(context: df.DurableOrchestrationContext, step: list[Any], key: str) -> Iterator[Any]:
    try:
        if step[0] == "any":
            tasks = [_task(context, part, f"{key}.{n}") for n, part in enumerate(step[1:])]
            yield context.task_any(tasks)
            return "any"
        return _result(step, (yield _task(context, step, key)))
    except Exception as error:
        if "on purpose" not in str(error):
            raise
        return "failed"


def _result(step: list[Any], value: Any) -> Any:
    if step[0] == "all":
        return [_result(part, one) for part, one in zip(step[1], value, strict=True)]
    return step[0] if step[0] in ("timer", "event") else value


def _task(context: df.DurableOrchestrationContext, step: list[Any], key: str) -> Any:
    match step:
        case ["act", x]:
            return context.call_activity("work", {"key": key, "value": x * 10, "failures": 0})
        case ["fail", _]:
            return context.call_activity("work", {"key": key, "value": None, "failures": 99})
        case ["retry", x, failures, attempts]:
            given = {"key": key, "value": x * 100, "failures": failures}
            return context.call_activity_with_retry("work", df.RetryOptions(5_000, attempts), given)
        case ["timer", seconds]:
            return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
        case ["event"]:
            awaited = [*(context.custom_status or []), key]
            context.set_custom_status(awaited)
            return context.wait_for_external_event(key)
        case ["sub", program, rounds]:
            return context.call_sub_orchestrator("interpret", {"program": program, "rounds": rounds})
        case ["all", parts]:
            return context.task_all([_task(context, part, f"{key}.{n}") for n, part in enumerate(parts)])
        case ["all-fails", parts, x]:
            return _task(context, ["all", [*parts, ["fail", x]]], key)
    raise ValueError(f"no step {step}")
