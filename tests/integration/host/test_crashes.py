"""A function that ends, leaks in or litters its process shows up with its name."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from local.host.inflight import find_dead
from tests.integration.host.conftest import AppWriter, Database, until
from tests.integration.host.processes import HostProcess, host_process

# The first invocation crashes; the batch comes again in the next process, which finds the mark.
CRASH = """
import ctypes, json, os, pathlib, signal, sys

MARK = pathlib.Path(__file__).with_name("crashed")

@app.cosmos_db_trigger(
    arg_name="documents", connection="HostTestDb", database_name="%HOST_TEST_DATABASE%",
    container_name="items", lease_container_name="leases", start_from_beginning=True, feed_poll_delay=20,
    lease_acquire_interval=100, lease_expiration_interval=1500, lease_renew_interval=300
)
async def fold(documents: func.DocumentList, context: func.Context) -> None:
    if not MARK.exists():
        MARK.write_text(context.invocation_id)
        {crash}
    print(json.dumps({{"ids": [document["id"] for document in documents]}}), flush=True)
"""
WEB = """
import asyncio
KEPT = []

@app.route(route="leak", auth_level="anonymous")
async def leak(req: func.HttpRequest) -> str:
    KEPT.append(b"x" * 1_000_000)
    return ""

@app.route(route="tidy", auth_level="anonymous")
async def tidy(req: func.HttpRequest) -> str:
    size = len(b"x" * 4_000_000)
    return ""

@app.route(route="litter", auth_level="anonymous")
async def litter(req: func.HttpRequest) -> str:
    KEPT.append(asyncio.create_task(asyncio.Event().wait()))
    return ""
"""


def events(host: HostProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in host.log() if line["event"] == event]


@pytest.mark.parametrize(
    ("crash", "code"),
    [
        ("os._exit(7)", 7),
        ("sys.exit(3)", 3),
        ("ctypes.string_at(0)", -11),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
    ids=["exit", "sys.exit", "segfault", "kill"],
)
async def test_the_next_host_says_which_function_ended_the_one_before(
    database: Database, app: AppWriter, crash: str, code: int
) -> None:
    folder = app(CRASH.format(crash=crash))
    async with host_process(folder, "one") as one:
        await database.write("d0")
        assert await one.terminate_itself() == code
        assert any("Segmentation fault" in line for line in one.errors()) is (code == -11)
    async with host_process(folder, "two") as two:
        await two.until(lambda: ["d0"] in two.printed("ids"))  # and the batch is not lost
        [died] = events(two, "host_died")
    invocation = (folder / "crashed").read_text()
    assert (died["instance"], died["functions"], died["invocations"]) == ("one", ["fold"], [invocation])


async def test_whoever_watches_a_host_can_say_what_it_died_of(database: Database, app: AppWriter) -> None:
    folder = app(CRASH.format(crash="os._exit(7)"))
    async with host_process(folder, "one") as one:
        [started] = events(one, "host_started")
        await database.write("d0")
        assert await one.terminate_itself() == 7
    dead = find_dead(folder / ".local", started["pid"])
    assert dead is not None
    assert dead.doing == f"while running fold (invocation {(folder / 'crashed').read_text()})"


async def test_an_orderly_end_is_no_death(database: Database, app: AppWriter) -> None:
    folder = app(CRASH.format(crash="pass"))
    async with host_process(folder, "one") as one:
        assert await one.terminate() == 0
    async with host_process(folder, "two") as two:
        assert events(two, "host_died") == []


async def test_a_function_that_leaks_memory_is_named_and_one_that_frees_it_is_not(app: AppWriter) -> None:
    folder = app(WEB)
    settings = {"HOST_MEMORY_GROWTH_MB": "40"}
    async with (
        host_process(folder, "one", "--http-port", "0", env=settings) as host,
        aiohttp.ClientSession(f"http://127.0.0.1:{host.printed('http_port')[0]}") as web,
    ):

        async def call(route: str, times: int) -> None:
            for _ in range(times):
                async with web.get(f"/api/{route}") as answer:
                    assert answer.status == 200

        await call("tidy", 150)
        assert events(host, "memory_growing") == []
        await call("leak", 150)

        async def is_reported() -> bool:
            return bool(events(host, "memory_growing"))

        await until(is_reported)
        report = events(host, "memory_growing")[0]
        assert next(iter(report["functions"])) == "leak"
        assert 40 <= report["grown_mb"] < 150

        await call("litter", 10)

        async def is_littered() -> bool:
            return len(events(host, "tasks_left_behind")) == 2

        await until(is_littered)
        first, many = events(host, "tasks_left_behind")
        assert (first["function"], first["tasks"], first["level"]) == ("litter", 1, "info")
        assert (many["function"], many["tasks"], many["level"]) == ("litter", 10, "warning")
        assert many["coroutines"] == ["Event.wait"]
