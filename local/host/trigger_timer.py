"""The timer trigger: due times on one instance only, never two at once, and the missed one made up for."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import azure.functions as func
from azure.core.exceptions import AzureError
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

from local.host.bindings import FunctionSpec, TimerTrigger
from local.host.invoke import Invoker, wait_for
from local.host.lease_store import utc_now
from local.host.logs import describe, log
from local.host.timer_store import TimerLock, TimerLockLostError, TimerStatus

LONGEST_SLEEP = 60.0
"""Seconds; a longer pause is slept in parts, so that a clock that is set or a suspended laptop is noticed."""


def timer_request(*, past_due: bool, status: TimerStatus) -> func.TimerRequest:
    """Build what a timer function receives, with the converter of the package itself."""
    last = status.last.isoformat() if status.last else "0001-01-01T00:00:00+00:00"
    info = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": {"Last": last, "Next": status.next.isoformat(), "LastUpdated": last},
        "IsPastDue": past_due,
    }
    found: func.TimerRequest = TimerRequestConverter.decode(
        Datum(json.dumps(info), "json"), trigger_metadata=None
    )
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
        status, past_due = self._first_status(utc_now())
        if self._trigger.use_monitor:
            await self._lock.save(status)
        if self._trigger.run_on_startup and not self._started:
            status = await self._invoke(status, past_due=past_due)
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
        if stored is None or stored.schedule != self._trigger.expression:
            last = stored.last if stored else None
            return TimerStatus(self._trigger.expression, last, self._trigger.schedule.next_after(now)), False
        return stored, stored.next <= now

    async def _invoke(self, status: TimerStatus, *, past_due: bool) -> TimerStatus:
        """Run one occurrence to its end and plan the next from then: occurrences never overlap or pile up."""
        began = utc_now()
        await self._invoker.deliver(
            self.spec,
            lambda: timer_request(past_due=past_due, status=status),
            abandon=self._quit,
            fields={"past_due": past_due, "late_ms": round((began - status.next).total_seconds() * 1_000)},
        )
        following = self._trigger.schedule.next_after(utc_now())
        status = TimerStatus(self._trigger.expression, began, following)
        if self._trigger.use_monitor and not self._lost:
            await self._lock.save(status)
        return status

    async def _wait_until(self, due: datetime) -> bool:
        """Sleep until ``due``; False if the lock is lost or the host stops before."""
        while (left := (due - utc_now()).total_seconds()) > 0:
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
