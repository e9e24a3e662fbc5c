"""Timers on request: only timers, at once, and to their end."""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path
from typing import Any

from azure.functions.timer import TimerRequest

from local.host.bindings import FunctionSpec, HttpTrigger, TimerTrigger
from local.host.invoke import Invoker
from local.host.manual import ManualRuns
from local.host.ncrontab import IntervalSchedule

YEARLY = TimerTrigger(IntervalSchedule(365 * 86_400), "yearly", False, True, UTC)


def timer(call: Any) -> FunctionSpec:
    return FunctionSpec("tick", call, True, "timer", None, YEARLY, None, Path())


async def test_a_timer_runs_at_once_and_is_not_past_due() -> None:
    seen: list[TimerRequest] = []

    async def tick(timer: TimerRequest) -> None:
        seen.append(timer)

    runs = ManualRuns([timer(tick)], Invoker(timeout=None, threads=1))
    assert runs.start("tick")
    await asyncio.gather(*runs.stop())
    assert [request.past_due for request in seen] == [False]


async def test_what_is_no_timer_does_not_run() -> None:
    async def answer(req: Any) -> str:
        raise AssertionError("was called")

    web = FunctionSpec("web", answer, True, "req", None, HttpTrigger("web", None, "anonymous"), None, Path())
    runs = ManualRuns([web], Invoker(timeout=None, threads=1))
    assert not runs.start("web")
    assert not runs.start("unknown")
    assert runs.stop() == ()


async def test_a_stop_returns_what_is_in_flight() -> None:
    go_on = asyncio.Event()
    ended: list[bool] = []

    async def slow(timer: TimerRequest) -> None:
        await go_on.wait()
        ended.append(True)

    runs = ManualRuns([timer(slow)], Invoker(timeout=None, threads=1))
    runs.start("tick")
    await asyncio.sleep(0)
    (task,) = runs.stop()
    assert not task.done()
    go_on.set()
    await task
    assert ended == [True]
    assert runs.stop() == ()
