"""The laptop stack: database server, Azurite and Functions hosts, started in order and stopped in order."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from local import azurite
from local.connection import (
    DEFAULT_DATABASE,
    DEFAULT_GENERATION,
    DEFAULT_MARGIN_DAYS,
    Connection,
    stack_file,
)
from local.hash_keys import load_or_create_hash_keys
from local.host.inflight import find_dead
from local.ports import HOST, free_port, require_free
from local.processes import Child, StackError, start_command
from shared.cosmos.provisioning import ProvisioningReport, apply_catalogue
from shared.errors import SettingsError
from shared.fleet.wiring import connected_fleet
from shared.settings import load_settings

T = TypeVar("T")

STARTING = "start"
"""What the server books the check of the settings under."""

START_TIMEOUT = 60.0
HOST_GRACE = 30.0
"""Seconds a host has to finish what it is doing; the platform gives about as much before it kills."""
GRACE = 10.0


@dataclass(frozen=True, slots=True)
class StackConfig:
    """What to start, and where. Port 0 means: any free port."""

    data: Path
    instances: int = 1
    cosmos_port: int = 0
    blob_port: int = 0
    http_port: int = 0
    """Port of the first host; further hosts take the ports after it."""

    def __post_init__(self) -> None:
        if self.instances < 0:
            raise ValueError(f"instances must not be negative, got {self.instances}")


@dataclass(slots=True)
class Stack:
    """A stack that serves. Made by :func:`running_stack`."""

    config: StackConfig
    settings: dict[str, str] = field(default_factory=dict)
    cosmos: dict[str, Any] = field(default_factory=dict)
    """What the database server reported: endpoint, port, key."""
    blob_port: int = 0
    hosts: list[dict[str, Any]] = field(default_factory=list)
    """What each host reported: instance, pid, http_port."""
    catalogue: ProvisioningReport = field(default_factory=ProvisioningReport)
    services: list[Child] = field(default_factory=list)
    host_processes: list[Child] = field(default_factory=list)

    @property
    def connection(self) -> Connection:
        """How to reach its database."""
        return Connection(self.settings, str(stack_file(self.config.data)))

    @property
    def logs(self) -> Path:
        """Where the logs of its processes are."""
        return self.config.data / "logs"

    def description(self) -> dict[str, Any]:
        """Return what ``stack.json`` and the ready line say."""
        return {
            "pid": os.getpid(),
            "data": str(self.config.data.resolve()),
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "cosmos": {name: self.cosmos[name] for name in ("endpoint", "port")},
            "blob": {
                "endpoint": f"http://{HOST}:{self.blob_port}/{azurite.ACCOUNT}",
                "port": self.blob_port,
            },
            "hosts": self.hosts,
            "database": self.settings["COSMOS_DATABASE"],
            "settings": self.settings,
        }

    async def watch(self) -> NoReturn:
        """Wait until a process of the stack ends by itself.

        Raises
        ------
        StackError
            Always, in the end: it names the process and quotes the end of its log.
        """
        children = [*self.services, *self.host_processes]
        waits = {asyncio.create_task(child.process.wait()): child for child in children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        # If several ended, the one that was started first is the likelier cause.
        child = next(child for task, child in waits.items() if task in done)
        dead = find_dead(self.config.data.resolve() / "host", child.pid)
        raise child.failure(dead.doing if dead else "")

    async def alongside(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` while the stack is watched.

        Raises
        ------
        StackError
            A process of the stack ended before ``work`` did.
        """
        working, watching = asyncio.ensure_future(work), asyncio.ensure_future(self.watch())
        try:
            await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()  # raises
            return await working
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)


@asynccontextmanager
async def running_stack(config: StackConfig) -> AsyncIterator[Stack]:
    """Start everything, yield when it serves, and stop everything: hosts first, so that they can drain.

    Raises
    ------
    StackError
        A part cannot start, or another stack runs on the same data directory.
    """
    config.data.mkdir(parents=True, exist_ok=True)
    with _exclusive(config.data):
        stack = Stack(config)
        try:
            await _start(stack)
            _describe(stack)
            yield stack
        finally:
            stack_file(config.data).unlink(missing_ok=True)
            await _stop_all(stack.host_processes, HOST_GRACE)
            await _stop_all(stack.services, GRACE)


async def _start(stack: Stack) -> None:
    config = stack.config
    require_free(config.cosmos_port, "--cosmos-port")
    require_free(config.blob_port, "--blob-port")
    for number in range(config.instances):
        require_free(_http_port(config, number), "--http-port")
    # Azurite takes seconds to load and no host waits for it, so its port is chosen before it listens.
    stack.blob_port = config.blob_port or free_port()
    await _all_of(_start_azurite(stack), _start_fleet(stack))


async def _start_fleet(stack: Stack) -> None:
    await _start_cosmos(stack)
    database = os.environ.get("COSMOS_DATABASE") or DEFAULT_DATABASE
    blob = azurite.connection_string(stack.blob_port)
    stack.settings = {
        "CosmosDb": stack.cosmos["connection_string"],
        "COSMOS_DATABASE": database,
        "FLEET_GENERATION": DEFAULT_GENERATION,
        "FLEET_STATE_MARGIN_DAYS": DEFAULT_MARGIN_DAYS,
        "FLEET_HASH_KEYS": load_or_create_hash_keys(stack.config.data / "hash_keys"),
        "ArchiveStorage": blob,
        "AzureWebJobsStorage": blob,
        # Whoever reads them works as the hosts do, with as many shards.
        **{name: value for name, value in os.environ.items() if name.startswith("FLEET_") and value},
    }
    async with stack.connection.client("provisioning") as client:
        stack.catalogue = await apply_catalogue(client, database)
    await _check_settings(stack)
    await _all_of(*(_start_host(stack, number) for number in range(stack.config.instances)))
    stack.hosts.sort(key=lambda host: int(host["instance"].rpartition("-")[2]))


async def _check_settings(stack: Stack) -> None:
    """See that the settings fit the stored state: hosts would start, and refuse all work."""
    try:
        settings = load_settings(stack.settings)
        async with connected_fleet(settings, user_agent=STARTING, start_generation=False):
            return
    except SettingsError as error:
        raise StackError(str(error)) from None


async def _start_cosmos(stack: Stack) -> None:
    child, report = await start_command(
        "cosmos",
        ["cosmos", "--port", str(stack.config.cosmos_port), "--data", str(stack.config.data / "cosmos")],
        log=stack.logs / "cosmos.log",
        environment=os.environ,
        timeout=START_TIMEOUT,
    )
    stack.services.append(child)
    stack.cosmos = report


async def _start_azurite(stack: Stack) -> None:
    child = await azurite.start_azurite(
        stack.config.data / "azurite", stack.blob_port, log=stack.logs / "azurite.log", timeout=START_TIMEOUT
    )
    stack.services.append(child)


async def _start_host(stack: Stack, number: int) -> None:
    name = f"host-{number + 1}"
    child, report = await start_command(
        name,
        [
            "host",
            "--instance",
            name,
            "--data",
            str(stack.config.data),
            "--http-port",
            str(_http_port(stack.config, number)),
        ],
        log=stack.logs / f"{name}.log",
        environment=stack.connection.environment(),
        timeout=START_TIMEOUT,
    )
    stack.host_processes.append(child)
    stack.hosts.append({"instance": name, "pid": child.pid, "http_port": report["http_port"]})


def _http_port(config: StackConfig, number: int) -> int:
    return config.http_port + number if config.http_port else 0


async def _all_of(*starting: Coroutine[Any, Any, None]) -> None:
    """Run several starts at once; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starting:
                group.create_task(start)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _stop_all(children: Sequence[Child], grace: float) -> None:
    await asyncio.gather(*(child.stop(grace) for child in children))


def _describe(stack: Stack) -> None:
    """Write ``stack.json`` in one step and readable for its owner only: it holds connection strings."""
    path = stack_file(stack.config.data)
    unfinished = path.with_suffix(".json.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        json.dump(stack.description(), target, indent=2)
    unfinished.replace(path)


@contextmanager
def _exclusive(data: Path) -> Iterator[None]:
    """Hold the data directory for this process; the lock goes with the process, however it ends."""
    with (data / "stack.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"Another stack runs on {data}: stop it, or choose another directory with --data."
            ) from None
        yield
