"""Call the app's functions: threads for sync ones, time limit, retries, and one log line per event."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions.durable_functions import ActivityTriggerConverter

from local.host.bindings import FunctionSpec, HttpTrigger
from local.host.context import (
    Context,
    Invocation,
    RetryContext,
    current_invocation,
    enter_thread,
    rpc_exception,
)
from local.host.durable_bindings import ActivityTrigger, ClientInput, OrchestrationTrigger
from local.host.logs import describe, function_log
from local.host.observe import Observer
from local.host.threads import DaemonThreads
from local.interrupt import INTERRUPTED

CANCEL_GRACE = 5.0
"""Seconds an async function has to react to its cancellation after the time limit."""


class InjectedLossError(Exception):
    """A failure asked for by ``HostConfig.lose_batches``; it stands for one outside the app's control."""


class InvocationTimeoutError(Exception):
    """The invocation took longer than ``functionTimeout``."""


class InvocationCancelledError(Exception):
    """The function's own code cancelled itself."""


class InvocationExitError(Exception):
    """The function raised an exception that is for the interpreter, which the worker never answers."""


class ProcessExitError(Exception):
    """The function ends the process: ``sys.exit()``, or a keyboard interrupt of its own."""

    def __init__(self, function: str, error: SystemExit | KeyboardInterrupt) -> None:
        super().__init__(f"{function} ends the process: {type(error).__name__}({error})")
        code = error.code if isinstance(error, SystemExit) else INTERRUPTED
        self.code = code if isinstance(code, int) else int(code is not None)


class InvocationResultError(Exception):
    """The function returned what the Python worker cannot hand on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: a value, or an error."""

    value: Any = None
    error: BaseException | None = None

    @property
    def final(self) -> bool:
        """Whether no retry policy applies: success, or a loss that was injected."""
        return self.error is None or isinstance(self.error, InjectedLossError)


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Wait until ``event`` is set, but no longer than ``seconds``; say whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    return event.is_set()


class Invoker:
    """Runs invocations in the event loop and in a bounded pool of threads."""

    def __init__(
        self,
        *,
        timeout: float | None,
        threads: int | None = None,
        lose_batches: Mapping[str, int] | None = None,
        observer: Observer | None = None,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._timeout = timeout
        workers = threads or min(32, (os.cpu_count() or 1) + 4)
        self._threads = DaemonThreads(workers)
        self._to_lose = dict(lose_batches or {})
        self._observer = observer
        self._end_process = end_process
        self._spread = random.Random()
        self.durable_client: Callable[[ClientInput], str] | None = None
        """Makes the value of a durable client binding; set by the host if the app has one."""
        self.active: Counter[str] = Counter()
        """Invocations in progress, per function."""

    @property
    def running(self) -> int:
        """Invocations in progress."""
        return self.active.total()

    async def deliver(
        self,
        spec: FunctionSpec,
        make_value: Callable[[], Any],
        *,
        abandon: asyncio.Event,
        fields: Mapping[str, Any],
    ) -> bool:
        """Invoke a function with its retry policy, until it is done with or ``abandon`` is set.

        ``make_value`` is called for each attempt, so that none sees what an earlier one changed.

        Returns
        -------
        bool
            True if the trigger may move on: success, a failure without policy, or retries used up, as on the
            platform. False if the attempts were abandoned: the same input has to come again.
        """
        retry = 0
        previous: BaseException | None = None
        while True:
            outcome = await self.invoke(spec, make_value, retry=retry, previous=previous, fields=fields)
            if outcome.final:
                return True
            retry += 1
            if spec.retry is None or not spec.retry.allows(retry):
                return True
            previous = outcome.error
            pause = spec.retry.pause_before(retry, self._spread)
            function_log.warning(
                "invocation_retrying",
                function=spec.name,
                retry=retry,
                max_retries=spec.retry.max_retry_count,
                pause_ms=round(pause * 1_000),
                **fields,
            )
            if await wait_for(abandon, pause):
                function_log.warning("invocation_abandoned", function=spec.name, retry=retry, **fields)
                return False

    async def invoke(
        self,
        spec: FunctionSpec,
        make_value: Callable[[], Any],
        *,
        retry: int = 0,
        previous: BaseException | None = None,
        fields: Mapping[str, Any],
    ) -> Outcome:
        """Invoke a function once. Whatever it raises becomes the outcome and is logged."""
        invocation_id = str(uuid.uuid4())
        bound = function_log.bind(function=spec.name, invocation_id=invocation_id, **fields)
        bound.info("invocation_started", retry=retry)
        started = time.perf_counter()
        self.active[spec.name] += 1
        outcome = Outcome(error=asyncio.CancelledError())
        try:
            self._lose_if_asked(spec)
            arguments = {spec.argument: make_value()}
            if spec.client and self.durable_client:
                arguments[spec.client.argument] = self.durable_client(spec.client)
            if spec.context_argument:
                policy = spec.retry
                arguments[spec.context_argument] = Context(
                    invocation_id,
                    spec.name,
                    str(spec.directory),
                    RetryContext(retry, policy.max_retry_count if policy else 0, rpc_exception(previous)),
                )
            token = current_invocation.set(Invocation(spec.name, invocation_id))
            try:
                with self._observed(spec.name, invocation_id):
                    outcome = Outcome(value=_checked(spec, await self._run_or_end(spec, arguments)))
            finally:
                current_invocation.reset(token)
        except Exception as error:  # noqa: BLE001 - one function's failure is its own; it is logged below
            outcome = Outcome(error=error)
        finally:
            self.active[spec.name] -= 1
            duration = round((time.perf_counter() - started) * 1_000, 1)
            if outcome.error is None:
                bound.info("invocation_succeeded", duration_ms=duration)
            else:
                bound.error("invocation_failed", duration_ms=duration, **describe(outcome.error))
        return outcome

    def _observed(self, function: str, invocation_id: str) -> AbstractContextManager[None]:
        return nullcontext() if self._observer is None else self._observer.invocation(function, invocation_id)

    def _lose_if_asked(self, spec: FunctionSpec) -> None:
        left = self._to_lose.get(spec.name, 0)
        if left > 0:
            self._to_lose[spec.name] = left - 1
            raise InjectedLossError(f"injected loss of an invocation of {spec.name}; {left - 1} to come")

    async def _run_or_end(self, spec: FunctionSpec, arguments: dict[str, Any]) -> Any:
        """Run the user's code; if it ends the process, all that runs in it ends, as on the platform."""
        try:
            return await self._run(spec, arguments)
        except ProcessExitError as error:
            function_log.critical(
                "process_ended_by_function", function=spec.name, code=error.code, error=str(error)
            )
            self._end_process(error.code)
            raise

    async def _run(self, spec: FunctionSpec, arguments: dict[str, Any]) -> Any:
        """Run the user's code as a task of its own, so that its cancellation is never the host's."""
        work: asyncio.Future[Any]
        if spec.is_async:
            work = asyncio.ensure_future(_call_async(spec, arguments))
        else:
            work = asyncio.ensure_future(
                self._threads.run(spec.name, functools.partial(_call_sync, spec, arguments))
            )
        try:
            done, _ = await asyncio.wait({work}, timeout=self._timeout)
        except asyncio.CancelledError:
            work.cancel()
            raise
        if not done:
            work.cancel()
            await asyncio.wait({work}, timeout=CANCEL_GRACE)
            left = "" if work.done() and spec.is_async else "; it still runs"
            raise InvocationTimeoutError(f"{spec.name} took longer than {self._timeout:g} s{left}")
        if work.cancelled():
            raise InvocationCancelledError(f"{spec.name} was cancelled by its own code")
        return work.result()


def _checked(spec: FunctionSpec, value: Any) -> Any:
    """Return a result that the worker would hand on; it fails the invocation otherwise."""
    kind = type(value).__name__
    if isinstance(spec.trigger, HttpTrigger):
        if not isinstance(value, str | func.HttpResponse):
            raise InvocationResultError(f"{spec.name} returned {kind}, not a str or func.HttpResponse")
    elif isinstance(spec.trigger, ActivityTrigger):
        return _encoded(spec, value)
    elif isinstance(spec.trigger, OrchestrationTrigger):
        if not isinstance(value, str):
            raise InvocationResultError(f"{spec.name} returned {kind}, not its answer as a str")
    elif value is not None:
        raise InvocationResultError(f"{spec.name} returned {kind}, but has no binding $return to take it")
    return value


def _encoded(spec: FunctionSpec, value: Any) -> str:
    """Return an activity's result as JSON, as the worker hands it to the host."""
    try:
        return str(ActivityTriggerConverter.encode(value, expected_type=None).value)
    except ValueError as error:
        raise InvocationResultError(
            f"{spec.name} returned {type(value).__name__}, which JSON cannot hold"
        ) from error


async def _call_async(spec: FunctionSpec, arguments: dict[str, Any]) -> Any:
    _enter_thread()
    try:
        return await spec.call(**arguments)
    except (SystemExit, KeyboardInterrupt) as error:  # in a task it would end the event loop without a word
        raise ProcessExitError(spec.name, error) from error
    except GeneratorExit as error:
        raise InvocationExitError(f"{spec.name} raised {type(error).__name__}") from error


def _call_sync(spec: FunctionSpec, arguments: dict[str, Any]) -> Any:
    _enter_thread()
    try:
        return spec.call(**arguments)
    except (SystemExit, KeyboardInterrupt) as error:
        raise ProcessExitError(spec.name, error) from error
    except GeneratorExit as error:
        raise InvocationExitError(f"{spec.name} raised {type(error).__name__}") from error


def _enter_thread() -> None:
    invocation = current_invocation.get()
    enter_thread(invocation.invocation_id if invocation else None)
