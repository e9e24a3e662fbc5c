"""Runs orchestrators and activities for as long as a host lives, and keeps what it has claimed."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from azure.functions.durable_functions import ActivityTriggerConverter, OrchestrationTriggerConverter
from azure.functions.meta import Datum

from local.host.bindings import FunctionSpec
from local.host.durable import engine
from local.host.durable.answers import Answer, AnswerError, read_answer, read_failure
from local.host.durable.database import HubFile
from local.host.durable.episodes import Episode, begin, sort_inbox, trigger_text
from local.host.durable.history import Event, EventType, event
from local.host.durable.instances import Instances
from local.host.durable.rows import Filter
from local.host.durable.store import ActivityClaim, Claim, ClaimLostError, WorkStore
from local.host.durable.work import ContinuedAsNew, Decision, Ended, Instance
from local.host.durable_bindings import ActivityTrigger, OrchestrationTrigger
from local.host.invoke import Invoker, Outcome, wait_for
from local.host.lease_store import utc_now
from local.host.logs import describe, durable_log

T = TypeVar("T")

POLL_SECONDS = 0.25
"""How long an idle host waits before it looks for what another host has left in the hub."""
PURGE_SECONDS = 600.0
"""How often it looks for orchestrations whose time is over."""
FAILED_SECONDS = 1.0
"""How long it waits after its own code or the file failed."""


class Dispatcher:
    """The loops of one host: orchestrations, activities and timers; and the renewal of claims."""

    def __init__(
        self,
        file: HubFile,
        work: WorkStore,
        instances: Instances,
        functions: list[FunctionSpec],
        invoker: Invoker,
        *,
        lease_seconds: float,
        max_orchestrations: int,
        max_activities: int,
        retention: timedelta,
    ) -> None:
        self._file = file
        self._store = work
        self._instances = instances
        self._invoker = invoker
        self._lease = lease_seconds
        self._retention = retention
        self._limits = {"orchestrations": max_orchestrations, "activities": max_activities}
        self.orchestrators: dict[str, FunctionSpec] = {}
        self.activities: dict[str, FunctionSpec] = {}
        for spec in functions:
            if isinstance(spec.trigger, OrchestrationTrigger):
                self.orchestrators[spec.trigger.name.lower()] = spec
            elif isinstance(spec.trigger, ActivityTrigger):
                self.activities[spec.trigger.name.lower()] = spec
        # One thread: the file has one connection, and its order of statements is then that of the calls.
        self._thread = ThreadPoolExecutor(1, "durable-store")
        self._stopping = asyncio.Event()
        self._wake = {"orchestrations": asyncio.Event(), "activities": asyncio.Event()}
        self._timers = asyncio.Event()
        self._working: dict[asyncio.Task[None], str] = {}
        self._tokens: set[str] = set()
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="durable-leases", daemon=True)

    async def ask(self, call: Callable[[], T]) -> T:
        """Run a call of the store in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def awake(self) -> None:
        """Look for work at once."""
        for one in (*self._wake.values(), self._timers):
            one.set()

    def stop(self) -> None:
        """Claim nothing more; :meth:`run` returns when what runs has ended."""
        self._stopping.set()
        self.awake()

    def close(self) -> None:
        """End both threads."""
        self._ended.set()
        if self._renewing.is_alive():
            self._renewing.join()
        self._thread.shutdown()
        self._file.close()

    async def run(self) -> None:
        """Work until :meth:`stop`."""
        self._renewing.start()
        steps = (self._orchestrate, self._act, self._fire, self._purge)
        try:
            await self.ask(self._store.take_back)
            await asyncio.gather(*(self._forever(step) for step in steps))
            while self._working:
                await asyncio.wait(self._working)
        finally:
            for task in self._working:
                task.cancel()
            try:
                await asyncio.gather(*self._working, return_exceptions=True)
            finally:
                self._ended.set()

    async def _forever(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Repeat a step; a defect in one, or a file that cannot be read, is logged and tried again."""
        while not self._stopping.is_set():
            try:
                await step()
            except (sqlite3.Error, OSError) as error:
                durable_log.error("durable_store_failed", **describe(error))
                await wait_for(self._stopping, FAILED_SECONDS)
            except Exception as error:  # noqa: BLE001 - a defect in one step must not end the others; logged
                durable_log.critical("durable_dispatch_failed", **describe(error))
                await wait_for(self._stopping, FAILED_SECONDS)

    async def _orchestrate(self) -> None:
        claim = None
        if self._free("orchestrations"):
            claim = await self.ask(self._claim_orchestration)
        if claim is not None:
            self._work("orchestrations", claim.token, self._episode(claim))
        else:
            await self._idle("orchestrations")

    async def _act(self) -> None:
        free = self._free("activities")
        claims = await self.ask(lambda: self._claim_activities(free)) if free else []
        for claim in claims:
            self._work("activities", claim.token, self._activity(claim))
        if not claims:
            await self._idle("activities")

    async def _fire(self) -> None:
        following = await self.ask(self._store.fire_timers)
        self._wake["orchestrations"].set()
        self._timers.clear()
        await wait_for(self._timers, POLL_SECONDS if following is None else min(POLL_SECONDS, following))

    async def _purge(self) -> None:
        """Delete what has ended long ago."""
        before = utc_now() - self._retention
        deleted = await self.ask(lambda: self._instances.purge_by(Filter(updated_to=before)))
        if deleted:
            durable_log.info("orchestrations_purged", count=deleted, ended_before=before.isoformat())
        await wait_for(self._stopping, PURGE_SECONDS)

    def _claim_orchestration(self) -> Claim | None:
        """Claim one, in the store's thread: it is renewed even if the event loop does not learn of it yet."""
        claim = self._store.claim_orchestration()
        if claim is not None:
            self._tokens.add(claim.token)
        return claim

    def _claim_activities(self, limit: int) -> list[ActivityClaim]:
        """Claim some, in the same way."""
        claims = self._store.claim_activities(limit)
        self._tokens.update(claim.token for claim in claims)
        return claims

    def _renew(self) -> None:
        """Keep what is claimed as long as the process lives, until the dispatcher has ended.

        It has a thread, because functions that block the event loop must not lose their claims: other hosts
        would do the same work once more, on a machine that is too slow already.
        """
        while not self._ended.wait(self._lease / 3):
            try:
                self._thread.submit(self._renew_now).result()
            except (sqlite3.Error, OSError) as error:
                durable_log.error("durable_store_failed", **describe(error))
            except Exception as error:  # noqa: BLE001 - without this thread every claim is lost; logged
                durable_log.critical("durable_dispatch_failed", **describe(error))

    def _renew_now(self) -> None:
        if tokens := self._tokens.copy():
            self._store.renew(tokens)

    def _free(self, kind: str) -> int:
        return self._limits[kind] - sum(each == kind for each in self._working.values())

    async def _idle(self, kind: str) -> None:
        await wait_for(self._wake[kind], POLL_SECONDS)
        self._wake[kind].clear()

    def _work(self, kind: str, token: str, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:  # the host stops: another one may go on at once
                await self.ask(lambda: self._store.release(token))
                raise
            except ClaimLostError as error:
                durable_log.warning("durable_claim_lost", reason=str(error))
            except (sqlite3.Error, OSError) as error:
                durable_log.error("durable_store_failed", **describe(error))
            finally:
                self._tokens.discard(token)

        task = asyncio.create_task(guarded())
        self._working[task] = kind
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.pop(task)
        self.awake()
        if not task.cancelled() and (error := task.exception()) is not None:
            durable_log.critical("durable_dispatch_failed", **describe(error))

    async def _episode(self, claim: Claim) -> None:
        events = [message.event for message in claim.messages]
        inbox = sort_inbox(events, suspended=claim.suspended)
        episode = begin(claim.history, inbox.messages, utc_now())
        decision = None
        if episode.terminated is not None:
            decision = engine.terminate(episode)
        elif not episode.idle:
            decision = await self._call(claim, episode)
        read = [claim.messages[position].number for position in inbox.read]
        await self.ask(lambda: self._store.commit(claim, read, decision, suspended=inbox.suspended))
        if decision is not None and decision.end is not None:
            _log_end(claim.instance, decision.end)

    async def _call(self, claim: Claim, episode: Episode) -> Decision:
        instance = claim.instance
        spec = self.orchestrators.get(instance.name.lower())
        if spec is None:
            return engine.fail(instance, episode, "the app has no orchestrator function of this name")
        text = trigger_text(instance, episode)
        outcome = await self._invoker.invoke(
            spec,
            lambda: OrchestrationTriggerConverter.decode(Datum(text, "string"), trigger_metadata=None),
            fields={"instance": instance.instance_id},
        )
        try:
            answer = _answer(outcome)
        except AnswerError as error:
            return engine.fail(instance, episode, str(error))
        return engine.finish(instance, episode, answer)

    async def _activity(self, claim: ActivityClaim) -> None:
        spec = self.activities.get(claim.name.lower())
        if spec is None:
            result = _failed(claim, f"the app has no activity function {claim.name}")
        else:
            outcome = await self._invoker.invoke(
                spec,
                lambda: ActivityTriggerConverter.decode(Datum(claim.input, "string"), trigger_metadata=None),
                fields={"instance": claim.instance_id, "attempt": claim.attempt},
            )
            result = _result(claim, outcome)
        await self.ask(lambda: self._store.complete_activity(claim, result))


def _answer(outcome: Outcome) -> Answer:
    if outcome.error is None:
        return read_answer(str(outcome.value))
    return read_failure(str(outcome.error))


def _result(claim: ActivityClaim, outcome: Outcome) -> Event:
    if outcome.error is not None:
        return _failed(claim, f"{type(outcome.error).__name__}: {outcome.error}")
    return event(EventType.TASK_COMPLETED, utc_now(), TaskScheduledId=claim.number, Result=str(outcome.value))


def _failed(claim: ActivityClaim, reason: str) -> Event:
    return event(
        EventType.TASK_FAILED,
        utc_now(),
        TaskScheduledId=claim.number,
        Reason=f"Activity function '{claim.name}' failed: {reason}",
        Details="",
    )


def _log_end(instance: Instance, end: Ended | ContinuedAsNew) -> None:
    if isinstance(end, Ended):
        say = durable_log.warning if end.status == "Failed" else durable_log.info
        say(
            "orchestration_ended",
            status=end.status,
            orchestrator=instance.name,
            instance=instance.instance_id,
        )
