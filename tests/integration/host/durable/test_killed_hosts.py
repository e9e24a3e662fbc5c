"""Hosts as processes: killed with -9 in the middle of an orchestration, and several that share one."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import aiohttp

from tests.integration.host.durable.apps import Hub, write_durable_app
from tests.integration.host.processes import HostProcess, host_process

SLOW = """
import asyncio, os

@bp.orchestration_trigger(context_name="context")
def total(context):
    found = []
    for part in range(3):
        tasks = [context.call_activity("count", {"part": part, "n": n}) for n in range(6)]
        found += yield context.task_all(tasks)
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=0.2))
    context.set_custom_status("counted")
    answer = yield context.wait_for_external_event("answer")
    hosts = sorted({one["pid"] for one in found})
    return {"numbers": [one["n"] for one in found], "hosts": hosts, "answer": answer}

@bp.activity_trigger(input_name="given")
async def count(given: dict) -> dict:
    print(json.dumps({"ran": [given["part"], given["n"]]}), flush=True)
    await asyncio.sleep(0.15)
    return {"n": given["part"] * 6 + given["n"], "pid": os.getpid()}
"""
FEW = {"extensions": {"durableTask": {"hubName": "Shared", "maxConcurrentActivityFunctions": 2}}}


def port_of(host: HostProcess) -> int:
    return int(host.printed("http_port")[0])


async def test_a_second_host_finishes_what_a_killed_one_has_begun(tmp_path: Path) -> None:
    folder = write_durable_app(tmp_path, SLOW, FEW)
    async with aiohttp.ClientSession() as web:
        async with host_process(folder, "one", "--http-port", "0") as one:
            links = await Hub(web, port_of(one)).start("total")
            await one.until(lambda: len(one.printed("ran")) >= 9)
            await one.kill()
        before = one.printed("ran")
        async with host_process(folder, "two", "--http-port", "0") as two:
            hub = Hub(web, port_of(two))
            here = hub.moved(links)
            async with asyncio.timeout(20):
                while (await hub.status(here))["customStatus"] != "counted":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await two.kill()
        async with host_process(folder, "three", "--http-port", "0") as three:
            hub = Hub(web, port_of(three))
            here = hub.moved(links)
            assert await hub.post(here, "sendEventPostUri", "yes", eventName="answer") == 202
            state = await hub.ended(here)
    assert (state["output"]["numbers"], state["output"]["answer"]) == ([*range(18)], "yes")
    # An activity ran again only if it was running when its host was killed.
    again = [ran for ran in two.printed("ran") if ran in before]
    assert len(again) <= 2
    assert len(before) + len(two.printed("ran")) == 18 + len(again)


async def test_two_hosts_share_the_activities_of_one_orchestration(tmp_path: Path) -> None:
    folder = write_durable_app(tmp_path, SLOW, FEW)
    async with (
        aiohttp.ClientSession() as web,
        host_process(folder, "one", "--http-port", "0") as one,
        host_process(folder, "two", "--http-port", "0") as two,
    ):
        hub = Hub(web, port_of(one))
        links = await hub.start("total")
        await hub.post(links, "sendEventPostUri", 1, eventName="answer")
        state = await hub.ended(links)
        ran = one.printed("ran") + two.printed("ran")
    assert state["output"]["numbers"] == [*range(18)]
    assert len(state["output"]["hosts"]) == 2
    assert sorted(ran) == [[part, n] for part in range(3) for n in range(6)]  # each once


STEPS = """
import asyncio

@bp.orchestration_trigger(context_name="context")
def climb(context):
    done = context.get_input()
    for _ in range(8):
        done = done + [(yield context.call_activity_with_retry("step", df.RetryOptions(10, 3), len(done)))]
        yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=20))
    if len(done) < 32:
        context.continue_as_new(done)
    return done

@bp.activity_trigger(input_name="number")
async def step(number: int) -> int:
    print(json.dumps({"step": number}), flush=True)
    await asyncio.sleep(0.02)
    return number * number
"""


async def test_an_orchestration_survives_any_number_of_kills(tmp_path: Path) -> None:
    folder = write_durable_app(tmp_path, STEPS)
    chance = random.Random(1)
    ran: list[int] = []
    async with aiohttp.ClientSession() as web:
        async with host_process(folder, "one", "--http-port", "0") as one:
            links = await Hub(web, port_of(one)).start("climb", [])
            ran += await killed_within(one, chance)
        for _ in range(3):
            async with host_process(folder, "one", "--http-port", "0") as one:
                ran += await killed_within(one, chance)
        async with host_process(folder, "one", "--http-port", "0") as one:
            hub = Hub(web, port_of(one))
            state = await hub.ended(hub.moved(links))
            ran += one.printed("step")
    assert state["output"] == [number * number for number in range(32)]
    assert {*ran} == {*range(32)}
    assert len(ran) <= 32 + 4  # at most one was running at each kill


async def killed_within(host: HostProcess, chance: random.Random) -> list[int]:
    """Kill a host some milliseconds after it has run some steps; return the steps that it ran."""
    before, more = len(host.printed("step")), chance.randint(1, 5)
    await host.until(lambda: len(host.printed("step")) >= before + more)
    await asyncio.sleep(chance.uniform(0, 0.06))
    await host.kill()
    return host.printed("step")


BLOCKING = """
import time

@bp.orchestration_trigger(context_name="context")
def block(context):
    return (yield context.call_activity("hold"))

@bp.activity_trigger(input_name="nothing")
async def hold(nothing) -> str:
    print(json.dumps({"held": True}), flush=True)
    time.sleep(4)  # nothing else of this process gets a turn
    return "done"
"""


async def test_a_host_whose_event_loop_is_blocked_keeps_what_it_has_claimed(tmp_path: Path) -> None:
    folder = write_durable_app(tmp_path, BLOCKING)
    async with (
        aiohttp.ClientSession() as web,
        host_process(folder, "one", "--http-port", "0") as one,
        host_process(folder, "two", "--http-port", "0") as two,
    ):
        hub = Hub(web, port_of(one))
        assert (await hub.ended(await hub.start("block")))["output"] == "done"
        await asyncio.sleep(1)  # the other host would be at it now
        assert len(one.printed("held") + two.printed("held")) == 1
