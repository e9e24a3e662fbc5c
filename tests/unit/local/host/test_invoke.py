"""Invocations: arguments, threads, limits, retries, injected losses, and what reaches the log."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from local.host.bindings import FunctionSpec, HttpTrigger, TimerTrigger
from local.host.invoke import (
    InjectedLossError,
    InvocationCancelledError,
    InvocationExitError,
    InvocationResultError,
    InvocationTimeoutError,
    Invoker,
)
from local.host.logs import configure_logging
from local.host.ncrontab import IntervalSchedule
from local.host.retry import RetryPolicy
from tests.unit.local.host.apps import bare_root

AT_ONCE = RetryPolicy("fixed_delay", 2, delay=0)


@pytest.fixture
def invoker() -> Invoker:
    configure_logging({"default": "INFO"})
    return Invoker(timeout=None, threads=2)


def spec(
    call: Callable[..., Any], retry: RetryPolicy | None = None, context: str | None = None
) -> FunctionSpec:
    is_async = asyncio.iscoroutinefunction(call)
    trigger = TimerTrigger(IntervalSchedule(3_600), "text")
    return FunctionSpec("work", call, is_async, "value", context, trigger, retry, Path("/app"))


async def deliver(invoker: Invoker, function: FunctionSpec, abandon: asyncio.Event | None = None) -> bool:
    return await invoker.deliver(
        function, lambda: [1], abandon=abandon or asyncio.Event(), fields={"lease": "L", "documents": 1}
    )


async def test_a_sync_function_runs_in_a_thread(invoker: Invoker) -> None:
    threads: list[threading.Thread] = []
    outcome = await invoker.invoke(
        spec(lambda value: threads.append(threading.current_thread())), lambda: 1, fields={}
    )
    assert outcome.error is None
    assert threads != [threading.main_thread()]


async def test_the_context_tells_the_attempt_and_the_error_before(invoker: Invoker) -> None:
    seen: list[func.Context] = []

    async def work(value: list[int], context: func.Context) -> None:
        seen.append(context)
        if len(seen) < 3:
            raise ValueError(f"attempt {len(seen)}")

    assert await deliver(invoker, spec(work, AT_ONCE, "context"))
    assert [context.retry_context.retry_count for context in seen] == [0, 1, 2]
    assert {context.retry_context.max_retry_count for context in seen} == {2}
    first = seen[0].retry_context.rpc_exception
    assert (first.message, first.source, first.stack_trace) == ("", "", "")
    assert seen[2].retry_context.rpc_exception.message == "ValueError: attempt 2"
    assert seen[0].function_name == "work"
    assert seen[0].function_directory == "/app"
    assert len({context.invocation_id for context in seen}) == 3


@pytest.mark.parametrize(
    ("trigger", "result", "fails"),
    [
        (None, None, False),
        (None, "text", True),
        (None, [], True),
        (HttpTrigger("x", None, "anonymous"), "text", False),
        (HttpTrigger("x", None, "anonymous"), func.HttpResponse(), False),
        (HttpTrigger("x", None, "anonymous"), None, True),
        (HttpTrigger("x", None, "anonymous"), {"a": 1}, True),
    ],
)
async def test_a_result_that_the_worker_cannot_hand_on_is_a_failure(
    invoker: Invoker, trigger: HttpTrigger | None, result: Any, fails: bool
) -> None:
    function = spec(lambda value: result)
    if trigger is not None:
        function = replace(function, trigger=trigger)
    outcome = await invoker.invoke(function, lambda: 1, fields={})
    assert isinstance(outcome.error, InvocationResultError) is fails


@pytest.mark.parametrize("error", [GeneratorExit])
@pytest.mark.parametrize("is_async", [True, False])
async def test_an_exception_that_is_for_the_interpreter_ends_the_invocation_only(
    invoker: Invoker, error: type[BaseException], is_async: bool
) -> None:
    def work(value: Any) -> None:
        raise error

    async def work_async(value: Any) -> None:
        raise error

    outcome = await invoker.invoke(spec(work_async if is_async else work), lambda: 1, fields={})
    assert isinstance(outcome.error, InvocationExitError)


async def test_each_attempt_gets_a_fresh_value(invoker: Invoker) -> None:
    seen: list[list[int]] = []

    async def work(value: list[int]) -> None:
        seen.append(list(value))
        value.clear()
        raise ValueError

    assert await deliver(invoker, spec(work, AT_ONCE))
    assert seen == [[1], [1], [1]]


async def test_without_a_policy_a_failure_moves_on(invoker: Invoker) -> None:
    calls = []

    async def work(value: list[int]) -> None:
        calls.append(value)
        raise ValueError

    assert await deliver(invoker, spec(work))
    assert len(calls) == 1


async def test_unlimited_retries_end_only_when_abandoned(invoker: Invoker) -> None:
    abandon = asyncio.Event()
    calls = []

    async def work(value: list[int]) -> None:
        calls.append(value)
        if len(calls) == 5:
            abandon.set()
        raise ValueError

    assert not await deliver(invoker, spec(work, RetryPolicy("fixed_delay", -1, delay=0)), abandon)
    assert len(calls) == 5


async def test_abandoning_does_not_wait_for_the_pause(invoker: Invoker) -> None:
    abandon = asyncio.Event()

    async def work(value: list[int]) -> None:
        asyncio.get_running_loop().call_soon(abandon.set)
        raise ValueError

    async with asyncio.timeout(5):
        assert not await deliver(invoker, spec(work, RetryPolicy("fixed_delay", -1, delay=3_600)), abandon)


async def test_an_injected_loss_ignores_the_policy_and_the_code() -> None:
    invoker = Invoker(timeout=None, threads=1, lose_batches={"work": 2})
    calls = []

    async def work(value: list[int]) -> None:
        calls.append(value)

    for _ in range(2):
        assert await deliver(invoker, spec(work, AT_ONCE))
    assert calls == []
    outcome = await Invoker(timeout=None, lose_batches={"work": 1}).invoke(spec(work), list, fields={})
    assert isinstance(outcome.error, InjectedLossError)
    assert await deliver(invoker, spec(work, AT_ONCE))
    assert len(calls) == 1


async def test_the_time_limit_cancels_an_async_function() -> None:
    invoker = Invoker(timeout=0.01, threads=1)
    ended = asyncio.Event()

    async def work(value: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    outcome = await invoker.invoke(spec(work), lambda: 1, fields={})
    assert isinstance(outcome.error, InvocationTimeoutError)
    assert ended.is_set()


async def test_a_function_that_cancels_itself_fails(invoker: Invoker) -> None:
    async def work(value: int) -> None:
        raise asyncio.CancelledError

    outcome = await invoker.invoke(spec(work), lambda: 1, fields={})
    assert isinstance(outcome.error, InvocationCancelledError)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (SystemExit(3), 3),
        (SystemExit(), 0),
        (SystemExit("text"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_leaving_the_process_ends_it_with_all_that_runs_in_it(
    raised: BaseException, code: int, is_async: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    invoker = Invoker(timeout=None, threads=2, end_process=ended.append)

    def work(value: int) -> None:
        raise raised

    async def work_async(value: int) -> None:
        raise raised

    await invoker.invoke(spec(work_async if is_async else work), lambda: 1, fields={})
    assert ended == [code]
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [line] = [line for line in lines if line["event"] == "process_ended_by_function"]
    assert (line["function"], line["code"], line["level"]) == ("work", code, "critical")


@pytest.mark.parametrize("is_async", [True, False])
async def test_threads_and_log_lines_know_their_invocation(
    invoker: Invoker, is_async: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[str, str]] = []

    def note(context: Any) -> None:
        logging.getLogger("app").warning("counted")
        logging.getLogger("app").warning(json.dumps({"event": "structured", "function": "its own"}))
        seen.append((context.invocation_id, context.thread_local_storage.invocation_id))

    async def work_async(value: int, context: func.Context) -> None:
        await asyncio.sleep(0)
        note(context)

    def work(value: int, context: func.Context) -> None:
        note(context)

    with bare_root():
        configure_logging({"default": "INFO"})
        function = spec(work_async if is_async else work, context="context")
        await asyncio.gather(*(invoker.invoke(function, lambda: 1, fields={}) for _ in range(3)))
        logging.getLogger("app").warning("outside")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = [line["invocation_id"] for line in lines if line["event"] == "counted"]
    assert sorted(said) == sorted(invocation for invocation, _ in seen)
    assert len(set(said)) == 3
    assert {line["function"] for line in lines if line["event"] == "counted"} == {"work"}
    assert {line["function"] for line in lines if line["event"] == "structured"} == {"its own"}
    assert ["invocation_id" in line for line in lines if line["event"] == "outside"] == [False]
    if not is_async:  # async functions share the thread of the event loop, as on the platform
        assert all(invocation == stored for invocation, stored in seen)


async def test_the_log_has_one_line_per_event_and_no_contents(
    invoker: Invoker, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = []

    async def work(value: list[int]) -> None:
        attempts.append(value)
        if len(attempts) == 1:
            raise ValueError("x" * 5_000)

    await deliver(invoker, spec(work, AT_ONCE))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == [
        "invocation_started",
        "invocation_failed",
        "invocation_retrying",
        "invocation_started",
        "invocation_succeeded",
    ]
    assert {(line["function"], line["lease"], line["documents"]) for line in lines} == {("work", "L", 1)}
    assert lines[1]["error_type"] == "ValueError"
    assert len(lines[1]["error"]) == 300
    assert "duration_ms" in lines[4]
    assert invoker.running == 0
