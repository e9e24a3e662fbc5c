"""Run one host instance: load the app, start its triggers, and end cleanly on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError

from local.host.bindings import CosmosTrigger, FunctionSpec, TimerTrigger
from local.host.connections import Connections
from local.host.cors import load_cors
from local.host.cosmos_source import CosmosSource
from local.host.durable.hub import HubConfig, TaskHub, uses_durable
from local.host.errors import HostStartError
from local.host.http_server import HttpServer
from local.host.inflight import in_flight_file, take_dead
from local.host.invoke import Invoker
from local.host.keys import HostKeys, load_or_create_keys
from local.host.leftovers import Leftovers, noting_tasks
from local.host.loading import load_functions
from local.host.logs import configure_logging, describe, log
from local.host.manual import ManualRuns
from local.host.memory import DEFAULT_LIMIT, MIB, MemoryWatch
from local.host.observe import Observer
from local.host.routes import Router
from local.host.settings import HostJson, export_settings, load_app_settings, load_host_json
from local.host.start_checks import known_losses, number_or, timer_place
from local.host.timer_store import TimerLock
from local.host.trigger_cosmos import CosmosListener
from local.host.trigger_http import DEFAULT_BODY_LIMIT, HttpApp
from local.host.trigger_timer import TimerListener
from local.host.watchdog import LoopWatchdog
from local.interrupt import stopping_on_signals

STOP_SECONDS = 20.0
"""What an instance has left, beside the draining, to give its leases back and close everything."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How to run one instance."""

    app_dir: Path
    """Folder with ``function_app.py`` and ``host.json``."""
    instance: str
    """Name of this instance, unique among the hosts of a stack; leases carry it as their owner."""
    http_port: int | None = None
    """Port for HTTP functions and the status page; 0 picks a free one, None serves no HTTP."""
    http_host: str = "127.0.0.1"
    data_dir: Path | None = None
    """Where the keys and the invocations in flight are written; None means ``.local`` in the app's folder."""
    drain_seconds: float = 30.0
    """How long invocations in flight may go on after SIGTERM. What has not ended by then is redelivered."""
    timer_lock_seconds: float = 15.0
    """After how long without a sign of life another instance takes over the timers of this one."""
    durable_lease_seconds: float = 15.0
    """After how long without a sign of life another instance continues the orchestrations of this one."""
    state_connection: str = "CosmosDb"
    """Connection setting of the timer locks, for an app without Cosmos DB triggers."""
    state_database_setting: str = "COSMOS_DATABASE"
    state_container: str = "change_feed_leases"
    lose_batches: Mapping[str, int] = field(default_factory=dict)
    """Fault injection: so many first invocations of a function fail before its code runs, and are lost as a
    batch is lost on the platform, whatever the retry policy says."""


@dataclass(frozen=True, slots=True)
class HostReady:
    """What a caller learns when the host serves."""

    instance: str
    functions: tuple[str, ...]
    http_port: int | None
    keys_file: Path | None


class Host:
    """One instance. Use :func:`run_host` from a command line; this class from tests and other programs."""

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        self._process = uuid.uuid4().hex
        self._data_dir = config.data_dir or config.app_dir / ".local"
        self._started = time.monotonic()
        self._state = "Starting"
        self._exit = contextlib.AsyncExitStack()
        self._listeners: list[CosmosListener | TimerListener] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._functions: list[FunctionSpec] = []
        self._server: HttpServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._invoker: Invoker | None = None
        self._requested: ManualRuns | None = None
        self._hub: TaskHub | None = None
        self._watchdog: LoopWatchdog | None = None
        self.http_port: int | None = None
        """The port that serves HTTP, once started."""

    async def start(self) -> HostReady:
        """Load the app, check everything it needs, and start its triggers.

        Raises
        ------
        HostStartError
            Something is missing or wrong; nothing runs then.
        """
        config = self._config
        app_dir = config.app_dir.resolve()
        settings = load_app_settings(app_dir, os.environ)
        host_json = load_host_json(app_dir)
        configure_logging(host_json.log_levels)
        export_settings(settings)
        self._functions = load_functions(app_dir, settings)
        try:
            self._invoker = Invoker(
                timeout=host_json.function_timeout,
                threads=number_or(settings, "PYTHON_THREADPOOL_THREAD_COUNT", 0) or None,
                lose_batches=known_losses(config.lose_batches, self._functions),
                observer=self._observer(settings),
            )
            connections = await self._exit.enter_async_context(
                Connections(settings, host_json.user_agent_suffix)
            )
            await self._open_cosmos(connections, self._invoker)
            await self._open_timers(connections, settings, self._invoker)
            keys_file = self._data_dir / "host-keys.json"
            keys = load_or_create_keys(keys_file)
            self._open_hub(host_json, settings, self._invoker, keys)
            self.http_port = self._open_http(host_json, settings, self._invoker, keys)
        except BaseException as error:
            await self._close()
            if isinstance(error, AzureError):
                raise HostStartError(
                    f"The database failed while the host started: {type(error).__name__}: {str(error)[:200]}"
                ) from error
            raise
        self._watchdog = LoopWatchdog(self._active)
        self._watchdog.start()
        self._tasks = [asyncio.create_task(self._guard(one.spec.name, one.run)) for one in self._listeners]
        if self._hub is not None:
            self._tasks.append(asyncio.create_task(self._guard("durable", self._hub.dispatcher.run)))
        self._state = "Running"
        names = tuple(spec.name for spec in self._functions)
        log.info(
            "host_started",
            instance=config.instance,
            pid=os.getpid(),
            functions=names,
            http_port=self.http_port,
        )
        return HostReady(config.instance, names, self.http_port, keys_file)

    async def stop(self) -> None:
        """Read no more, let invocations in flight end, give back all leases and close everything."""
        if self._state == "Stopped":
            return
        self._state = "Stopping"
        running = self._invoker.running if self._invoker else 0
        log.info("host_stopping", instance=self._config.instance, invocations=running)
        for listener in self._listeners:
            listener.stop()
        if self._hub is not None:
            self._hub.dispatcher.stop()
        if self._server is not None:
            self._server.stop()
        requested = self._requested.stop() if self._requested else ()
        waiting = [*self._tasks, *requested, *([self._serving] if self._serving else [])]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=self._config.drain_seconds)
            for task in late:
                task.cancel()
            if late:
                log.warning("host_drain_incomplete", instance=self._config.instance, triggers=len(late))
                await asyncio.wait(late, timeout=10)
        await self._close()
        self._state = "Stopped"
        log.info("host_stopped", instance=self._config.instance)

    def hurry(self) -> None:
        """Cancel what :meth:`stop` still waits for. What was in flight is redelivered."""
        for task in (*self._tasks, *(self._requested.stop() if self._requested else ())):
            task.cancel()
        if self._server is not None:
            self._server.hurry()

    def status(self) -> dict[str, Any]:
        """Return what ``/admin/host/status`` answers."""
        triggers = []
        for listener in self._listeners:
            name = listener.spec.name
            if isinstance(listener, CosmosListener):
                triggers.append({"function": name, "type": "cosmosDBTrigger", "leases": listener.lease_count})
            else:
                triggers.append({"function": name, "type": "timerTrigger", "runs_here": listener.holds})
        return {
            "id": self._config.instance,
            "state": self._state,
            "processUptime": round((time.monotonic() - self._started) * 1_000),
            "functions": [spec.name for spec in self._functions],
            "invocations": self._invoker.running if self._invoker else 0,
            "triggers": triggers,
        }

    def _observer(self, settings: Mapping[str, str]) -> Observer:
        """Say of which functions earlier hosts died, and watch those of this one."""
        for dead in take_dead(self._data_dir):
            functions = [flight.function for flight in dead.flights]
            invocations = [flight.invocation_id for flight in dead.flights]
            log.error(
                "host_died",
                instance=dead.instance,
                pid=dead.pid,
                functions=functions,
                invocations=invocations,
            )
        in_flight = self._exit.enter_context(
            in_flight_file(self._data_dir, self._config.instance, self._process)
        )
        self._exit.enter_context(noting_tasks(asyncio.get_running_loop()))
        limit = number_or(settings, "HOST_MEMORY_GROWTH_MB", DEFAULT_LIMIT // MIB) * MIB
        return Observer(in_flight, MemoryWatch(limit), Leftovers())

    async def _open_cosmos(self, connections: Connections, invoker: Invoker) -> None:
        seen: dict[tuple[str, str], str] = {}
        for spec in self._functions:
            if not isinstance(spec.trigger, CosmosTrigger):
                continue
            reopen = partial(
                CosmosSource.open,
                spec,
                connections,
                owner=self._config.instance,
                process=self._process,
                create=True,
            )
            source = await reopen()
            place = (spec.trigger.lease_container, source.store.prefix)
            if place in seen:
                raise HostStartError(
                    f"The functions {seen[place]} and {spec.name} share the same leases, so each would see "
                    "only a part of the feed; give one of them a lease_container_prefix."
                )
            seen[place] = spec.name
            listener = CosmosListener(spec, source, invoker, reopen)
            await listener.prepare()
            self._listeners.append(listener)

    async def _open_timers(
        self, connections: Connections, settings: Mapping[str, str], invoker: Invoker
    ) -> None:
        timers = [spec for spec in self._functions if isinstance(spec.trigger, TimerTrigger)]
        if not timers:
            return
        place = timer_place(
            self._functions,
            settings,
            connection=self._config.state_connection,
            database_setting=self._config.state_database_setting,
            container=self._config.state_container,
        )
        container, _ = await connections.container(*place, asked_by="it holds the locks of the timers")
        seconds = self._config.timer_lock_seconds
        for spec in timers:
            lock = TimerLock(
                container,
                name=spec.name,
                owner=self._config.instance,
                process=self._process,
                expiration=seconds,
            )
            self._listeners.append(TimerListener(spec, lock, invoker, expiration=seconds))

    def _open_hub(
        self, host_json: HostJson, settings: Mapping[str, str], invoker: Invoker, keys: HostKeys
    ) -> None:
        if uses_durable(self._functions):
            config = HubConfig(self._data_dir, self._config.instance, self._config.durable_lease_seconds)
            self._hub = TaskHub(self._functions, invoker, host_json.raw, settings, config, keys.durable)
            self._exit.push_async_callback(self._hub.close)

    def _open_http(
        self, host_json: HostJson, settings: Mapping[str, str], invoker: Invoker, keys: HostKeys
    ) -> int | None:
        config = self._config
        router = Router(self._functions)
        if config.http_port is None:
            if len(router):
                log.warning("http_not_served", reason="no port given", functions=len(router))
            return None
        app = self._http_app(router, host_json, settings, invoker, keys)
        self._server = HttpServer(app, config.http_host, config.http_port, config.drain_seconds)
        self._serving = asyncio.create_task(self._server.serve())
        if self._hub is not None:
            self._hub.serve_at(f"http://{config.http_host}:{self._server.port}")
        return self._server.port

    def _http_app(
        self,
        router: Router,
        host_json: HostJson,
        settings: Mapping[str, str],
        invoker: Invoker,
        keys: HostKeys,
    ) -> HttpApp:
        self._requested = ManualRuns(self._functions, invoker)
        return HttpApp(
            router,
            invoker,
            keys,
            prefix=host_json.route_prefix,
            body_limit=number_or(settings, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", DEFAULT_BODY_LIMIT),
            max_concurrent=host_json.max_concurrent_requests,
            max_outstanding=host_json.max_outstanding_requests,
            status=self.status,
            run_timer=self._requested.start,
            cors=load_cors(self._config.app_dir),
            hub=self._hub,
        )

    async def _guard(self, function: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a trigger; if the host's own code fails in it, say so and start it again. The others go on."""
        while True:
            try:
                await run()
                return
            except Exception as error:  # noqa: BLE001 - a defect in one trigger must not end the others; logged
                log.critical("trigger_failed", function=function, **describe(error))
            await asyncio.sleep(1)

    def _active(self) -> list[str]:
        """Return the functions that run now; called from the watchdog's thread."""
        counts = dict(self._invoker.active) if self._invoker else {}
        return [name for name, count in counts.items() if count > 0]

    async def _close(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._serving is not None and not self._serving.done():
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        await self._exit.aclose()


async def run_host(config: HostConfig, *, on_ready: Callable[[HostReady], None]) -> None:
    """Run an instance until SIGTERM or SIGINT; then drain, release the leases and return.

    A second signal ends the draining at once: what is in flight is cancelled and will be redelivered. A third
    one ends the process; so does the time, when a function holds the event loop.

    Raises
    ------
    HostStartError
        The instance cannot start. The message is one sentence for the user.
    """
    if not faulthandler.is_enabled():
        faulthandler.enable()  # a crash in native code leaves the functions' lines on standard error
    asked, insisted = asyncio.Event(), asyncio.Event()
    host = Host(config)
    asking, insisting = asyncio.create_task(asked.wait()), asyncio.create_task(insisted.wait())
    within = config.drain_seconds + STOP_SECONDS
    with stopping_on_signals(asked.set, insisted.set, within=within), _cancelled(asking, insisting):
        starting = asyncio.create_task(host.start())
        await asyncio.wait({starting, asking}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        on_ready(starting.result())
        await asking
        stopping = asyncio.create_task(host.stop())
        await asyncio.wait({stopping, insisting}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            host.hurry()
        await stopping


@contextlib.contextmanager
def _cancelled(*tasks: asyncio.Task[Any]) -> Iterator[None]:
    """Leave none of the tasks running behind the block."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
