"""A timer runs while its lock is held: when due, when missed, at the start, and never twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from azure.functions.timer import TimerRequest

from local.host.bindings import FunctionSpec, TimerTrigger
from local.host.invoke import Invoker
from local.host.ncrontab import IntervalSchedule
from local.host.timer_store import TimerLockLostError, TimerStatus
from local.host.trigger_timer import TimerListener, timer_request

HOUR = IntervalSchedule(3_600)
ALWAYS = IntervalSchedule(1e-6)
"""Due again before an invocation has ended."""


class FakeLock:
    """A lock in memory: free, or lost from the moment a test says so."""

    def __init__(self, status: TimerStatus | None = None) -> None:
        self.status = status
        self.written = datetime.now(UTC)
        self.lost = False
        self.held = False
        self.refused = asyncio.Event()

    async def try_acquire(self) -> bool:
        if self.lost:
            self.refused.set()
        self.held = not self.lost
        return self.held

    async def save(self, status: TimerStatus) -> None:
        await self.renew()
        self.status = status

    async def renew(self) -> None:
        if self.lost:
            raise TimerLockLostError("taken by a test")

    async def release(self) -> None:
        self.held = False


def make(
    call: Callable[[TimerRequest], Awaitable[None]],
    lock: FakeLock,
    schedule: Any,
    *,
    on_startup: bool = False,
    monitor: bool = True,
    zone: tzinfo = UTC,
) -> TimerListener:
    trigger = TimerTrigger(schedule, "text", on_startup, monitor, zone)
    spec = FunctionSpec("tick", call, True, "timer", None, trigger, None, Path())
    invoker = Invoker(timeout=None, threads=1)
    return TimerListener(spec, lock, invoker, expiration=0.03)  # type: ignore[arg-type]


@asynccontextmanager
async def running(listener: TimerListener) -> Any:
    async with asyncio.timeout(10):
        task = asyncio.create_task(listener.run())
        yield
        listener.stop()
        await task


class Clock:
    """The time as a listener reads it, set by a test."""

    def __init__(self, listener: TimerListener) -> None:
        self.now = datetime.now(UTC)
        listener.clock = lambda: self.now


class Calls:
    """Collects what a timer function received, and lets a test wait for a number of calls."""

    def __init__(self) -> None:
        self.requests: list[TimerRequest] = []
        self.new = asyncio.Condition()
        self.inside = 0
        self.most_inside = 0

    async def __call__(self, timer: TimerRequest) -> None:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        for _ in range(5):  # the next occurrence is due by now; it would begin if it could
            await asyncio.sleep(0)
        self.inside -= 1
        async with self.new:
            self.requests.append(timer)
            self.new.notify_all()

    async def wait(self, count: int) -> None:
        async with self.new:
            await self.new.wait_for(lambda: len(self.requests) >= count)


async def test_due_again_and_again_but_never_twice_at_once() -> None:
    calls, lock = Calls(), FakeLock()
    async with running(make(calls, lock, ALWAYS)):
        await calls.wait(3)
    assert calls.most_inside == 1
    assert [request.past_due for request in calls.requests[:3]] == [False, False, False]
    assert lock.status is not None
    assert lock.status.last is not None
    assert lock.status.next > lock.status.last
    assert not lock.held


async def test_an_occurrence_missed_while_no_host_ran_is_made_up_once() -> None:
    missed = datetime.now(UTC) - timedelta(hours=5)
    calls, lock = Calls(), FakeLock(TimerStatus("text", missed - timedelta(hours=1), missed))
    async with running(make(calls, lock, HOUR)):
        await calls.wait(1)
    assert [request.past_due for request in calls.requests] == [True]
    assert calls.requests[0].schedule_status["Next"] == missed.isoformat()
    assert lock.status is not None
    assert lock.status.next > datetime.now(UTC)


async def test_a_changed_schedule_forgets_the_old_due_time() -> None:
    missed = datetime.now(UTC) - timedelta(hours=5)
    calls, lock = Calls(), FakeLock(TimerStatus("another text", None, missed))
    async with running(make(calls, lock, ALWAYS)):
        await calls.wait(1)
    assert calls.requests[0].past_due is False


async def test_without_monitor_nothing_is_made_up_and_nothing_stored() -> None:
    status = TimerStatus("text", None, datetime.now(UTC) - timedelta(hours=5))
    calls, lock = Calls(), FakeLock(status)
    async with running(make(calls, lock, ALWAYS, monitor=False)):
        await calls.wait(2)
    assert [request.past_due for request in calls.requests[:2]] == [False, False]
    assert lock.status is status


async def test_run_on_startup() -> None:
    calls = Calls()
    async with running(make(calls, FakeLock(), HOUR, on_startup=True)):
        await calls.wait(1)
    assert len(calls.requests) == 1


async def test_stopping_lets_the_invocation_end_and_stores_it() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(timer: TimerRequest) -> None:
        entered.set()
        await leave.wait()

    lock = FakeLock()
    listener = make(slow, lock, ALWAYS)
    async with asyncio.timeout(10):
        task = asyncio.create_task(listener.run())
        await entered.wait()
        listener.stop()
        assert not task.done()
        leave.set()
        await task
    assert lock.status is not None
    assert lock.status.last is not None
    assert not lock.held


async def test_a_lost_lock_ends_the_running_and_is_tried_for_again() -> None:
    calls, lock = Calls(), FakeLock()
    listener = make(calls, lock, ALWAYS)
    async with running(listener):
        await calls.wait(1)
        lock.lost = True
        await lock.refused.wait()
        assert not listener.holds
        seen = len(calls.requests)
        lock.lost = False
        await calls.wait(seen + 1)


async def test_an_invocation_longer_than_the_schedule_is_followed_at_once_by_one_that_is_not_past_due() -> (
    None
):
    calls, lock = Calls(), FakeLock()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def long(timer: TimerRequest) -> None:
        if not calls.requests:
            entered.set()
            await leave.wait()
        await calls(timer)

    listener = make(long, lock, HOUR, on_startup=True)
    clock = Clock(listener)
    async with running(listener):
        await entered.wait()
        clock.now += timedelta(hours=3, minutes=30)  # three occurrences pass
        leave.set()
        await calls.wait(2)
    assert [request.past_due for request in calls.requests] == [False, False]
    assert lock.status is not None
    assert lock.status.next == clock.now + timedelta(hours=1)  # the other two are not made up for


async def test_past_due_and_run_on_startup_are_one_invocation() -> None:
    missed = datetime.now(UTC) - timedelta(minutes=5)
    calls, lock = Calls(), FakeLock(TimerStatus("text", missed - timedelta(hours=1), missed))
    listener = make(calls, lock, HOUR, on_startup=True)
    async with running(listener):
        await calls.wait(1)
    assert [request.past_due for request in calls.requests] == [True]


async def test_an_occurrence_that_fires_early_does_not_come_twice() -> None:
    calls, lock = Calls(), FakeLock()
    listener = make(calls, lock, HOUR)
    due = TimerStatus("text", None, datetime.now(UTC) + timedelta(seconds=1))
    after = await listener._invoke(due, past_due=False)
    assert after.last == due.next
    assert after.next == due.next + timedelta(hours=1)


@pytest.mark.parametrize("last", [None, datetime(2026, 7, 1, tzinfo=UTC)])
def test_the_request_is_the_packages_own(last: datetime | None) -> None:
    status = TimerStatus("text", last, datetime(2026, 7, 2, tzinfo=UTC))
    monitored = TimerTrigger(HOUR, "text", zone=ZoneInfo("Europe/Berlin"))
    request = timer_request(monitored, past_due=True, status=status)
    assert request.past_due
    assert request.schedule == {"AdjustForDST": True}
    assert request.schedule_status["Next"] == "2026-07-02T02:00:00+02:00"
    assert request.schedule_status["Last"] == (
        "2026-07-01T02:00:00+02:00" if last else "0001-01-01T00:00:00+00:00"
    )
    assert TimerStatus.from_document(status.to_document()) == status
    free = timer_request(TimerTrigger(HOUR, "text", use_monitor=False), past_due=False, status=status)
    assert free.schedule_status == {}
