"""The :class:`~shared.fleet.wiring.Fleet` of this process: one per identity, connected when needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import structlog
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.cosmos.access import reason_of
from shared.errors import NotReadyError, SettingsError
from shared.fleet.wiring import Fleet, connected_fleet
from shared.rights import Identity
from shared.settings import current_settings

STATE_CHECK_SECONDS = 60.0
"""Seconds after which an invocation checks again that ``view_state`` is the state that was counted."""

READY_SECONDS, NOT_READY_SECONDS = 30.0, 5.0
"""Seconds for which an answer about readiness is kept: anyone may ask, and each answer costs requests."""

_log = structlog.get_logger(__name__)


class _Periodic:
    """Work that is done again some seconds after it ended. Callers that ask meanwhile share its outcome.

    Parameters
    ----------
    seconds, after_failure
        How long an outcome is kept.
    """

    def __init__(self, seconds: float, after_failure: float) -> None:
        self._seconds = seconds
        self._after_failure = after_failure
        self._task: asyncio.Task[None] | None = None
        self._ended = 0.0

    async def done(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, unless its last outcome is still good; raise what it raised."""
        loop = asyncio.get_running_loop()
        task = self._task
        if task is None or (task.done() and self._is_over(task, loop.time())):
            task = self._task = loop.create_task(self._run(work))
        await asyncio.shield(task)

    def _is_over(self, task: asyncio.Task[None], now: float) -> bool:
        failed = task.cancelled() or task.exception() is not None
        return now - self._ended >= (self._after_failure if failed else self._seconds)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._ended = asyncio.get_running_loop().time()


class _Runtime:
    """The fleet of one event loop and identity."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.opening: asyncio.Task[Fleet] | None = None
        self.lifetime: AbstractAsyncContextManager[Fleet] | None = None
        self.state_check = _Periodic(STATE_CHECK_SECONDS, after_failure=0.0)
        self.ready_check = _Periodic(READY_SECONDS, NOT_READY_SECONDS)
        self._refusals: dict[str, str] = {}
        """Why the fleet refuses to work, by the check that found it."""

    async def opened(self) -> Fleet:
        """Return the fleet. A failed connection is tried again."""
        opening = self.opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception())):
            opening = self.opening = asyncio.get_running_loop().create_task(self._open())
        return await asyncio.shield(opening)

    async def _open(self) -> Fleet:
        # Functions have no hook for the end of the process. An event loop that is shut down closes its
        # asynchronous generators: that of ``connected_fleet``, which closes the connections. It must be the
        # only one, since the loop closes all of them concurrently.
        settings = current_settings()
        lifetime = connected_fleet(
            settings.for_lifecycle() if self._identity is Identity.LIFECYCLE else settings
        )
        fleet = await lifetime.__aenter__()
        self.lifetime = lifetime
        return fleet

    async def working(self) -> Fleet:
        """Return the fleet if it may work."""
        with self._told("invocations"):
            fleet = await self.opened()
            await self.state_check.done(fleet.mark.check)
        return fleet

    async def ready(self) -> None:
        """Check everything without which no invocation succeeds."""
        fleet = await self.working()
        with self._told("readiness"):
            await fleet.check_ready()

    @contextmanager
    def _told(self, check: str) -> Iterator[None]:
        """Log a refusal once per reason, and its end. Errors of the service get a reason."""
        try:
            yield
        except Exception as error:
            reason = _reason(error)
            if reason is None:
                raise
            if reason != self._refusals.get(check):
                _log.error("fleet_refuses_work", check=check, reason=reason)
            self._refusals[check] = reason
            if isinstance(error, CosmosHttpResponseError):
                raise NotReadyError(reason) from error
            raise
        if self._refusals.pop(check, None) is not None:
            _log.warning("fleet_works_again", check=check)


def _reason(error: Exception) -> str | None:
    """Return the sentence about an error that stays until a person does something, None for any other."""
    if isinstance(error, SettingsError | NotReadyError):
        return str(error)
    return reason_of(error) if isinstance(error, CosmosHttpResponseError) else None


_runtimes: dict[tuple[asyncio.AbstractEventLoop, Identity], _Runtime] = {}


def _runtime(identity: Identity) -> _Runtime:
    return _runtimes.setdefault((asyncio.get_running_loop(), identity), _Runtime(identity))


async def fleet(identity: Identity = Identity.FLEET) -> Fleet:
    """Return the fleet of the running event loop. The first call connects it.

    A failed connection is not cached: the next call tries again.

    Parameters
    ----------
    identity
        As whom it connects. Functions of :data:`shared.rights.FAMILIES` have the rights of the lifecycle.

    Raises
    ------
    SettingsError
        The settings do not name an account, or contradict the stored state, or ``view_state`` was deleted or
        restored. The invocation fails and the platform retries it, so nothing is lost until it is corrected.
    NotReadyError
        The database, a container or a right is missing.
    """
    return await _runtime(identity).working()


async def check_ready() -> None:
    """Check that this process can do its work. The outcome is kept for some seconds.

    Raises
    ------
    SettingsError, NotReadyError
        It refuses to work, until a person does what the message says.
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer.
    """
    runtime = _runtime(Identity.FLEET)
    await runtime.ready_check.done(runtime.ready)
