"""A stack with aged documents, and hosts that archive them and are killed on the way."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
from azure.core.exceptions import ResourceNotFoundError
from azure.cosmos.aio import DatabaseProxy
from azure.storage.blob.aio import ContainerClient

from local.processes import ROOT
from local.stack import StackConfig, running_stack
from shared.concurrency import batched, for_each
from tests.archive_check.read_back import read_back
from tests.archive_check.seed import AGES, NOW, YOUNG, container_of, document
from tests.integration.host.processes import HostProcess
from tests.moved_clock import moved_clock

APP = """
import azure.functions as func
from functions import archive
from shared.logs import configure_logging

configure_logging("INFO")
app = func.FunctionApp()
app.register_functions(archive.blueprint)
"""
"""The functions of the archive alone: in Azure, orchestrations have instances of their own."""

MOST_OF_A_PART = 500

LEASE_SECONDS = "15"
"""As of the laptop stack: after so long another host goes on with what a killed one has begun."""

Tell = Callable[[str], None]


@dataclass(slots=True)
class CheckReport:
    """What happened."""

    documents: int
    seconds: float = 0.0
    kills: int = 0
    status: str = ""
    archived: int = 0
    """Documents that were stored, by the orchestration's own count; those of a killed host may be missing."""
    known: int = 0
    """Documents that were found stored: a killed host's page was archived again."""
    requests: int = 0
    request_units: float = 0.0
    memory: dict[str, list[int]] = field(default_factory=dict)
    """Megabytes of each host process, at regular moments."""
    read_back: dict[str, Any] = field(default_factory=dict)
    idle: dict[str, Any] = field(default_factory=dict)
    """A second run, with nothing to do."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Hosts:
    """The hosts: one is killed and started again from time to time."""

    def __init__(self, app: Path, settings: dict[str, str]) -> None:
        self._app = app
        self._settings = settings
        self.running: dict[str, tuple[asyncio.subprocess.Process, HostProcess]] = {}
        self._started = 0

    async def start(self) -> dict[str, Any]:
        """Start one more host; return what it says when it is ready."""
        self._started += 1
        name = f"host{self._started}"
        log = self._app / f"{name}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.integration.host.run_one", str(self._app), name,
                "--http-port", "0", "--lease-seconds", LEASE_SECONDS,
                cwd=ROOT, env={**os.environ, **self._settings},
                stdout=asyncio.subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        host = HostProcess(process, log)
        self.running[name] = process, host
        await host.until(lambda: bool(host.printed("ready")))
        return host.lines[0]

    async def kill_one(self) -> None:
        """Kill any host with -9, and start another one."""
        name = random.choice(list(self.running))
        _, host = self.running.pop(name)
        await host.kill()
        await self.start()

    async def stop(self) -> None:
        for _, host in self.running.values():
            await host.kill()

    def memory(self) -> dict[str, int]:
        """Return the resident memory of each host in megabytes."""
        page = os.sysconf("SC_PAGE_SIZE")
        return {
            name: int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * page // 1_000_000
            for name, (process, _) in self.running.items()
        }


async def write(database: DatabaseProxy, numbers: range, name: str, container: str) -> None:
    """Write those of the documents that belong to a container."""
    of = database.get_container_client(container)

    async def one(number: int) -> None:
        made = document(number, name)
        await of.execute_item_batch([("upsert", (made,))], partition_key=made["user_id"])

    wanted = (number for number in numbers if container_of(number) == container)
    for some in batched(wanted, 1_000):
        await for_each(some, one, max_concurrency=24)


async def run_check(data: Path, documents: int, *, kills: int, hosts: int, tell: Tell) -> CheckReport:
    """Archive documents while hosts are killed; read them back; archive once more, with nothing to do."""
    report = CheckReport(documents)
    with moved_clock(NOW):
        to_now = NOW.timestamp() - time.time()

        def set_clock(days_ago: int) -> None:
            Path(os.environ["MOVED_CLOCK"]).write_text(f"{to_now - days_ago * 86_400:+}")

        async with AsyncExitStack() as opened:
            stack = await opened.enter_async_context(running_stack(StackConfig(data, instances=0)))
            client = await opened.enter_async_context(stack.connection.client("archive-check"))
            database = client.get_database_client(stack.settings["COSMOS_DATABASE"])
            for ages, numbers, name in ((AGES, range(documents), "aged"), (YOUNG, range(100), "young")):
                for container, days in ages.items():
                    set_clock(days)
                    await write(database, numbers, name, container)
                    tell(f"{name} documents of {container} written")
            set_clock(0)
            fleet = Hosts(_app(data), dict(stack.settings))
            opened.push_async_callback(fleet.stop)
            ready = [await fleet.start() for _ in range(hosts)]
            master = _master_key(ready[0])
            web = await opened.enter_async_context(aiohttp.ClientSession(headers={"x-functions-key": master}))
            connection = stack.settings["ArchiveStorage"]
            storage = await opened.enter_async_context(
                ContainerClient.from_connection_string(connection, "archive")
            )
            began = monotonic()
            await _start_timer(web, fleet)
            await _follow(web, fleet, storage, documents, kills, report, tell)
            report.seconds = round(monotonic() - began, 1)
            report.read_back = await read_back(connection, documents)
            tell(f"read back: {report.read_back}")
            first_run = report.archived, report.known, report.requests, report.request_units
            created = (await _status(web, fleet))["createdTime"]
            await asyncio.sleep(1.1)  # the time of an instance has whole seconds
            await _start_timer(web, fleet)
            await _follow(web, fleet, storage, 0, 0, report, tell, created)
            report.idle = {
                "archived": report.archived, "known": report.known,
                "requests": report.requests, "request_units": report.request_units,
            }  # fmt: skip
            report.archived, report.known, report.requests, report.request_units = first_run
    return report


def _app(data: Path) -> Path:
    """Write an app with the archive's functions; return its folder."""
    app = data / "archive-app"
    app.mkdir()
    (app / "function_app.py").write_text(APP)
    (app / "host.json").write_text((ROOT / "host.json").read_text())
    return app


def _master_key(ready: dict[str, Any]) -> str:
    return str(json.loads(Path(ready["keys_file"]).read_text())["masterKey"])


async def _start_timer(web: aiohttp.ClientSession, fleet: Hosts) -> None:
    _, host = next(iter(fleet.running.values()))
    port = host.lines[0]["http_port"]
    async with web.post(f"http://127.0.0.1:{port}/admin/functions/archive_daily", json={}) as answer:
        assert answer.status == 202, await answer.text()


async def _follow(
    web: aiohttp.ClientSession,
    fleet: Hosts,
    storage: ContainerClient,
    documents: int,
    kills: int,
    report: CheckReport,
    tell: Tell,
    before: str = "",
) -> None:
    """Wait until the orchestration has ended; kill hosts at even distances of what is archived."""
    started = monotonic()
    while True:
        await asyncio.sleep(0.5)
        for name, size in fleet.memory().items():
            report.memory.setdefault(name, []).append(size)
        state = await _status(web, fleet)
        if state.get("createdTime") != before and state["runtimeStatus"] in (
            "Completed",
            "Failed",
            "Terminated",
        ):
            _read_output(state, report)
            return
        if report.kills >= kills:
            continue
        done = await _share(storage, documents)
        if done >= (report.kills + 1) / (kills + 1):
            await fleet.kill_one()
            report.kills += 1
            tell(f"a host was killed after {monotonic() - started:.0f} s, at {done:.0%}")


async def _share(storage: ContainerClient, documents: int) -> float:
    """Return about which share of the documents is archived: a part of a manifest has 500 at most."""
    try:
        listed = sum([1 async for _ in storage.list_blobs(name_starts_with="manifests/")])
    except ResourceNotFoundError:
        return 0.0
    return listed * MOST_OF_A_PART / documents


async def _status(web: aiohttp.ClientSession, fleet: Hosts) -> dict[str, Any]:
    _, host = next(iter(fleet.running.values()))
    port = host.lines[0]["http_port"]
    url = f"http://127.0.0.1:{port}/runtime/webhooks/durabletask/instances/archive"
    async with web.get(url) as answer:
        if answer.status == 404:
            return {"runtimeStatus": "Pending"}
        found: dict[str, Any] = await answer.json()
    return found


def _read_output(state: dict[str, Any], report: CheckReport) -> None:
    report.status = state["runtimeStatus"]
    outcomes = state["output"] if isinstance(state["output"], list) else []
    report.archived = sum(each.get("outcome", {}).get("archived", 0) for each in outcomes)
    report.known = sum(each.get("outcome", {}).get("known", 0) for each in outcomes)
    report.requests = sum(each.get("cost", {}).get("requests", 0) for each in outcomes)
    report.request_units = round(sum(each.get("cost", {}).get("request_units", 0) for each in outcomes), 1)
