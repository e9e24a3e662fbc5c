"""Timers that an administrator runs out of schedule: ``POST /admin/functions/{name}``, as on the platform."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from local.host.bindings import FunctionSpec, TimerTrigger
from local.host.invoke import Invoker
from local.host.lease_store import utc_now
from local.host.timer_store import TimerStatus
from local.host.trigger_timer import timer_request


class ManualRuns:
    """Starts timers on request. A run does not wait for the timer's lock and leaves its schedule as it is."""

    def __init__(self, functions: Iterable[FunctionSpec], invoker: Invoker) -> None:
        self._timers = {spec.name: spec for spec in functions if isinstance(spec.trigger, TimerTrigger)}
        self._invoker = invoker
        self._abandon = asyncio.Event()
        self._tasks: set[asyncio.Task[bool]] = set()

    def start(self, name: str) -> bool:
        """Start one invocation with the function's retry policy; False if no timer has this name."""
        spec = self._timers.get(name)
        if spec is None:
            return False
        task = asyncio.create_task(self._run(spec))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def stop(self) -> tuple[asyncio.Task[bool], ...]:
        """Repeat no failed invocation from now on; return the tasks of those in flight."""
        self._abandon.set()
        return tuple(self._tasks)

    async def _run(self, spec: FunctionSpec) -> bool:
        trigger = spec.trigger
        if not isinstance(trigger, TimerTrigger):
            raise TypeError(f"{spec.name} has no timer trigger")
        status = TimerStatus(trigger.expression, None, trigger.schedule.next_after(utc_now()))
        return await self._invoker.deliver(
            spec,
            lambda: timer_request(trigger, past_due=False, status=status),
            abandon=self._abandon,
            fields={"requested": True},
        )
