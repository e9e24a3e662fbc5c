"""Timers on one of several hosts, and HTTP over a real socket."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.host.conftest import AppWriter, Database, drained, hosting, trigger, until
from tests.integration.host.processes import HostProcess, host_process
from tests.integration.host.recorder import Recorder, Seen

# The Cosmos DB trigger gives the timer a place for its lock.
TIMER = """
import asyncio, json, time

@app.timer_trigger(arg_name="timer", schedule="{schedule}", run_on_startup={startup})
async def tick(timer: func.TimerRequest) -> None:
    print(json.dumps({{"tick": time.time(), "past_due": timer.past_due}}), flush=True)
    await asyncio.sleep({seconds})
    print(json.dumps({{"tock": time.time()}}), flush=True)
"""
WEB = """
@app.route(route="items/{id:int}", methods=["GET"])
async def item(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"id": req.route_params["id"]}), mimetype="application/json")

@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
def open_to_all(req: func.HttpRequest) -> str:
    return req.get_body().decode()

import asyncio, json
ENTERED, LEAVE = asyncio.Event(), asyncio.Event()

@app.route(route="slow", auth_level="anonymous")
async def slow(req: func.HttpRequest) -> str:
    ENTERED.set()
    await LEAVE.wait()
    return "done"
"""


def timer(schedule: str, *, seconds: float = 0, startup: bool = False) -> str:
    return TIMER.format(schedule=schedule, seconds=seconds, startup=startup)


async def test_a_timer_runs_on_one_host_only_and_moves_when_it_is_killed(
    database: Database, app: AppWriter
) -> None:
    folder = app(trigger(), timer("*/1 * * * * *"))
    async with host_process(folder, "one") as one, host_process(folder, "two") as two:
        await one.until(lambda: len(one.printed("tick")) >= 2)
        assert two.printed("tick") == []
        await one.kill()
        await two.until(lambda: len(two.printed("tick")) >= 2)
    seconds = [int(moment) for host in (one, two) for moment in host.printed("tick")]
    assert len(seconds) == len(set(seconds))  # no occurrence twice


async def test_of_four_hosts_one_runs_the_timer_and_another_takes_over(
    database: Database, app: AppWriter
) -> None:
    folder = app(trigger(), timer("*/1 * * * * *"))
    async with AsyncExitStack() as running:
        names = ("one", "two", "three", "four")
        hosts = await asyncio.gather(
            *(running.enter_async_context(host_process(folder, name)) for name in names)
        )

        def ticking() -> list[HostProcess]:
            return [host for host in hosts if host.printed("tick")]

        async def somebody_ticks_twice() -> bool:
            return any(len(host.printed("tick")) >= 2 for host in hosts)

        await until(somebody_ticks_twice)
        [first] = ticking()
        await first.kill()

        async def another_ticks_twice() -> bool:
            return any(len(host.printed("tick")) >= 2 for host in hosts if host is not first)

        await until(another_ticks_twice)
        assert len(ticking()) == 2
    seconds = [int(moment) for host in hosts for moment in host.printed("tick")]
    assert len(seconds) == len(set(seconds))  # no occurrence twice


async def test_a_timer_moves_at_once_when_its_host_stops(database: Database, app: AppWriter) -> None:
    folder = app(trigger(), timer("0 0 0 1 1 *", startup=True))
    async with host_process(folder, "one") as one:
        await one.until(lambda: len(one.printed("tock")) == 1)
        assert await one.terminate() == 0
    document = await database.leases.read_item("timer..tick", "timer..tick")
    assert document["Owner"] is None
    assert document["ScheduleStatus"]["Last"] is not None
    assert document["ScheduleStatus"]["Next"].endswith("-01-01T00:00:00+00:00")


async def test_a_timer_never_overlaps_itself_not_even_across_hosts(
    database: Database, app: AppWriter
) -> None:
    folder = app(trigger(), timer("*/1 * * * * *", seconds=1.3))
    async with host_process(folder, "one") as one, host_process(folder, "two") as two:

        def runs(host: HostProcess) -> int:
            return len(host.printed("tock"))

        await one.until(lambda: runs(one) >= 1)
        assert await one.terminate() == 0
        await two.until(lambda: runs(two) >= 1)
    spans = sorted(
        (began, ended)
        for host in (one, two)
        for began, ended in zip(host.printed("tick"), host.printed("tock"), strict=False)
    )
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert len(spans) >= 2


async def test_an_administrator_runs_a_timer_out_of_schedule_and_a_stop_waits_for_it(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = app(trigger(), timer("0 0 0 1 1 *", seconds=0.5))
    async with (
        hosting(folder, http_port=0, data_dir=tmp_path / "data") as host,
        aiohttp.ClientSession() as web,
    ):
        key = json.loads((tmp_path / "data" / "host-keys.json").read_text())["masterKey"]
        url = f"http://127.0.0.1:{host.http_port}/admin/functions/"

        async def run(name: str, **headers: str) -> int:
            async with web.post(url + name, json={"input": ""}, headers=headers) as answer:
                return answer.status

        assert await run("tick") == 401
        assert await run("nothing", **{"x-functions-key": key}) == 404
        assert await run("tick", **{"x-functions-key": key}) == 202
    printed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [entry["past_due"] for entry in printed if "tick" in entry] == [False]
    assert sum("tock" in entry for entry in printed) == 1


async def test_http_with_keys_from_the_keys_file(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path
) -> None:
    folder = app(WEB, host_json={"extensions": {"http": {"routePrefix": "v1"}}})
    async with (
        hosting(folder, http_port=0, data_dir=tmp_path / "data") as host,
        aiohttp.ClientSession() as web,
    ):
        keys = json.loads((tmp_path / "data" / "host-keys.json").read_text())
        key = keys["functionKeys"]["default"]
        base = f"http://127.0.0.1:{host.http_port}"

        async def get(path: str, **options: Any) -> tuple[int, str]:
            async with web.request(options.pop("method", "GET"), base + path, **options) as answer:
                return answer.status, await answer.text()

        assert await get("/v1/items/7") == (401, "")
        assert await get("/v1/items/7", params={"code": key}) == (200, '{"id": "7"}')
        assert await get("/v1/items/7", headers={"x-functions-key": key}) == (200, '{"id": "7"}')
        assert (await get("/v1/items/x", params={"code": key}))[0] == 404
        assert (await get("/api/items/7", params={"code": key}))[0] == 404
        assert await get("/v1/open", method="POST", data="body") == (200, "body")
        status, text = await get("/admin/host/status")
        assert (status, json.loads(text)["state"], json.loads(text)["id"]) == (200, "Running", "one")


async def test_a_stop_answers_the_request_in_flight(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path
) -> None:
    folder = app(WEB)
    async with (
        hosting(folder, http_port=0, data_dir=tmp_path / "data") as host,
        aiohttp.ClientSession() as web,
    ):
        module = sys.modules["function_app"]
        request = asyncio.create_task(web.get(f"http://127.0.0.1:{host.http_port}/api/slow"))
        await module.ENTERED.wait()
        stopping = asyncio.create_task(host.stop())
        await asyncio.sleep(0)
        module.LEAVE.set()
        async with await request as answer:
            assert (answer.status, await answer.text()) == (200, "done")
        await stopping


async def test_a_blocking_sync_function_does_not_hold_up_the_feed(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path
) -> None:
    folder = app(
        trigger(),
        """
        import threading
        ENTERED, LEAVE = threading.Event(), threading.Event()

        @app.route(route="block", auth_level="anonymous")
        def block(req: func.HttpRequest) -> str:
            ENTERED.set()
            LEAVE.wait(20)
            return "done"
        """,
    )
    async with (
        hosting(folder, http_port=0, data_dir=tmp_path / "data") as host,
        aiohttp.ClientSession() as web,
    ):
        module = sys.modules["function_app"]
        request = asyncio.create_task(web.get(f"http://127.0.0.1:{host.http_port}/api/block"))
        await asyncio.to_thread(module.ENTERED.wait, 20)
        await database.write("d0")
        await drained(folder)
        assert recorder.ids() == ["d0"]
        assert not request.done()
        module.LEAVE.set()
        async with await request as answer:
            assert await answer.text() == "done"


async def test_a_client_that_goes_away_harms_nobody(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path
) -> None:
    folder = app(WEB)
    async with (
        hosting(folder, http_port=0, data_dir=tmp_path / "data") as host,
        aiohttp.ClientSession() as web,
    ):
        module = sys.modules["function_app"]
        _, writer = await asyncio.open_connection("127.0.0.1", host.http_port)
        writer.write(b"GET /api/slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await module.ENTERED.wait()
        writer.transport.abort()
        module.LEAVE.set()  # the function ends as if its client were there, as on the platform

        async def is_idle() -> bool:
            return bool(host.status()["invocations"] == 0)

        await until(is_idle)
        _, writer = await asyncio.open_connection("127.0.0.1", host.http_port)
        writer.write(b"POST /api/open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()
        async with web.post(f"http://127.0.0.1:{host.http_port}/api/open", data="whole") as answer:
            assert (answer.status, await answer.text()) == (200, "whole")


async def test_head_options_preflight_and_limits_over_a_socket(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = app(WEB, host_json={"extensions": {"http": {"maxOutstandingRequests": 1}}})
    (folder / "local.settings.json").write_text(json.dumps({"Host": {"CORS": "https://page.example"}}))
    monkeypatch.setenv("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "1000")
    async with (
        hosting(folder, http_port=0, data_dir=tmp_path / "data") as host,
        aiohttp.ClientSession(f"http://127.0.0.1:{host.http_port}") as web,
    ):
        async with web.head("/api/open", data=b"text") as answer:
            assert (answer.status, answer.headers["content-length"], await answer.read()) == (200, "4", b"")
        asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
        async with web.options("/api/open", headers=asked) as answer:
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == "https://page.example"
            assert answer.headers["access-control-allow-methods"] == "POST"
        async with web.options("/api/open", data=b"text") as answer:
            assert (answer.status, await answer.text()) == (200, "text")  # the function's own
        async with web.post("/api/open", data=b"x" * 1_001) as answer:
            assert answer.status == 413
        async with web.post("/api/items/7") as answer:
            assert answer.status == 404
        module = sys.modules["function_app"]
        request = asyncio.create_task(web.get("/api/slow"))
        await module.ENTERED.wait()
        async with web.post("/api/open") as answer:
            assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        module.LEAVE.set()
        async with await request as answer:
            assert answer.status == 200


async def test_failures_in_one_trigger_of_each_kind_leave_the_others_alone(
    database: Database, recorder: Recorder, app: AppWriter, tmp_path: Path
) -> None:
    forever = '@app.retry(strategy="fixed_delay", max_retry_count="-1", delay_interval="00:00:00")'
    folder = app(
        trigger("good", 'lease_container_prefix="good-"'),
        trigger("bad", 'lease_container_prefix="bad-"', forever),
        WEB,
        """
        TICKS = []

        @app.route(route="broken", auth_level="anonymous")
        async def broken(req: func.HttpRequest) -> str:
            raise ValueError("http")

        @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
        async def broken_timer(timer: func.TimerRequest) -> None:
            TICKS.append("broken")
            raise ValueError("timer")

        @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
        async def tick(timer: func.TimerRequest) -> None:
            TICKS.append("good")
        """,
    )

    async def behave(seen: Seen) -> None:
        if seen.function == "bad":
            raise ValueError("cosmos")

    recorder.behave = behave
    async with (
        hosting(folder, http_port=0, data_dir=tmp_path / "data") as host,
        aiohttp.ClientSession(f"http://127.0.0.1:{host.http_port}") as web,
    ):
        ticks = sys.modules["function_app"].TICKS
        for number in range(3):
            await database.write(f"d{number}")

            async def arrived(one: str = f"d{number}") -> bool:
                return one in recorder.ids("good")

            await until(arrived)
            async with web.get("/api/broken") as answer:
                assert (answer.status, await answer.text()) == (500, "")
            async with web.post("/api/open", data=b"text") as answer:
                assert (answer.status, await answer.text()) == (200, "text")

        async def both_timers_went_on() -> bool:
            return bool(ticks.count("good") >= 2 and ticks.count("broken") >= 2)

        await until(both_timers_went_on)
        failed = [seen for seen in recorder.all if seen.function == "bad"]
        assert len(failed) > 3  # it was tried again and again meanwhile
        assert recorder.ids("bad") == []
        assert host.status()["state"] == "Running"
