"""The timer trigger: due times on one instance only, never two at once, and the missed one made up for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from azure.core.exceptions import AzureError
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequest, TimerRequestConverter

from local.host.bindings import FunctionSpec, TimerTrigger
from local.host.invoke import Invoker, wait_for
from local.host.lease_store import utc_now
from local.host.logs import describe, log
from local.host.timer_store import TimerLock, TimerLockLostError, TimerStatus

LONGEST_SLEEP = 60.0
"""Seconds; a longer pause is slept in parts, so that a clock that is set or a suspended laptop is noticed."""
NEVER = "0001-01-01T00:00:00+00:00"
"""What the platform says of a timer that has not run yet."""


def timer_request(trigger: TimerTrigger, *, past_due: bool, status: TimerStatus) -> TimerRequest:
    """Build what a timer function receives, with the converter of the package itself.

    Without monitoring there is no schedule status, as on the platform.
    """
    info: dict[str, Any] = {"Schedule": {"AdjustForDST": True}, "IsPastDue": past_due}
    if trigger.use_monitor:
        last = status.last.astimezone(trigger.zone).isoformat() if status.last else NEVER
        following = status.next.astimezone(trigger.zone).isoformat()
        info["ScheduleStatus"] = {"Last": last, "Next": following, "LastUpdated": last}
    found: TimerRequest = TimerRequestConverter.decode(Datum(json.dumps(info), "json"), trigger_metadata=None)
    return found


class TimerListener:
    """Runs one timer, whenever this instance is the one that holds its lock."""

    def __init__(self, spec: FunctionSpec, lock: TimerLock, invoker: Invoker, *, expiration: float) -> None:
        if not isinstance(spec.trigger, TimerTrigger):
            raise TypeError(f"{spec.name} has no timer trigger")
        self.spec = spec
        self._trigger = spec.trigger
        self._lock = lock
        self._invoker = invoker
        self._expiration = expiration
        self._stop = asyncio.Event()
        self._quit = asyncio.Event()
        self._lost = False
        self._started = False
        self.clock: Callable[[], datetime] = utc_now
        """Tells the time in UTC; tests set it."""
        self.holds = False
        """Whether this instance runs the timer."""

    def stop(self) -> None:
        """Start no further invocation. :meth:`run` returns when the one in flight has ended."""
        self._stop.set()
        self._quit.set()

    async def run(self) -> None:
        """Try for the lock, and run the timer while it is held, until :meth:`stop`."""
        while not self._stop.is_set():
            try:
                self.holds = await self._lock.try_acquire()
                if self.holds:
                    await self._hold()
            except TimerLockLostError as error:
                if not self._lost:
                    self._give_up(str(error))
            except (AzureError, TimeoutError, OSError) as error:
                log.warning("timer_store_failed", function=self.spec.name, **describe(error))
            self.holds = False
            await wait_for(self._stop, self._expiration / 3)

    async def _hold(self) -> None:
        log.info("timer_lock_acquired", function=self.spec.name)
        self._lost = False
        if not self._stop.is_set():
            self._quit.clear()
        renewer = asyncio.create_task(self._renew_regularly())
        try:
            await self._run_while_held()
        finally:
            renewer.cancel()
            await asyncio.gather(renewer, return_exceptions=True)
            if not self._lost:
                async with asyncio.timeout(5):
                    await self._lock.release()
                log.info("timer_lock_released", function=self.spec.name)

    async def _run_while_held(self) -> None:
        status, past_due = self._first_status(self.clock())
        if self._trigger.use_monitor:
            await self._lock.save(status)
        if self._trigger.run_on_startup and not self._started:
            status = await self._invoke(status, past_due=past_due, planned=False)
            past_due = False
        self._started = True
        while not self._quit.is_set():
            if not past_due and not await self._wait_until(status.next):
                return
            status = await self._invoke(status, past_due=past_due)
            past_due = False

    def _first_status(self, now: datetime) -> tuple[TimerStatus, bool]:
        """Return where the schedule stands, and whether an occurrence passed while nobody ran the timer."""
        stored = self._lock.status if self._trigger.use_monitor else None
        schedule = self._trigger.schedule
        if stored is None:
            return TimerStatus(self._trigger.expression, None, schedule.next_after(now)), False
        if stored.schedule != self._trigger.expression:  # a new schedule does not make up for the old one
            following = schedule.next_after(stored.last or now)
            if following < now:
                following = schedule.next_after(now)
            return TimerStatus(self._trigger.expression, None, following), False
        return stored, stored.next < now

    async def _invoke(self, status: TimerStatus, *, past_due: bool, planned: bool = True) -> TimerStatus:
        """Run one occurrence to its end and plan the next from its beginning.

        Occurrences never overlap. Where one takes longer than its schedule, the next begins at its end; what
        was due in between is not made up for one by one.
        """
        began = self.clock()
        await self._invoker.deliver(
            self.spec,
            lambda: timer_request(self._trigger, past_due=past_due, status=status),
            abandon=self._quit,
            fields={"past_due": past_due, "late_ms": round((began - status.next).total_seconds() * 1_000)},
        )
        # A clock that is a little behind may fire early; the occurrence must not come a second time.
        last = max(began, status.next) if planned and not past_due else began
        status = TimerStatus(self._trigger.expression, last, self._trigger.schedule.next_after(last))
        if self._trigger.use_monitor and not self._lost:
            await self._lock.save(status)
        return status

    async def _wait_until(self, due: datetime) -> bool:
        """Sleep until ``due``; False if the lock is lost or the host stops before."""
        while (left := (due - self.clock()).total_seconds()) > 0:
            if await wait_for(self._quit, min(left, LONGEST_SLEEP)):
                return False
        return not self._quit.is_set()

    async def _renew_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._expiration / 3)
            try:
                await self._lock.renew()
            except TimerLockLostError as error:
                self._give_up(str(error))
                return
            except (AzureError, TimeoutError, OSError) as error:
                log.warning("timer_store_failed", function=self.spec.name, **describe(error))
                if (utc_now() - self._lock.written).total_seconds() > self._expiration:
                    self._give_up("it could not be renewed before it expired")
                    return

    def _give_up(self, reason: str) -> None:
        log.warning("timer_lock_lost", function=self.spec.name, reason=reason)
        self._lost = True
        self._quit.set()
