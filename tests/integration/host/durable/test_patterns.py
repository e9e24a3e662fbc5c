"""The patterns that orchestrations are written for, run by a host through the real package."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from tests.integration.host.durable.apps import hosting_hub, write_durable_app

CHAIN = """
@bp.orchestration_trigger(context_name="context")
def chain(context):
    text = context.get_input()
    for _ in range(3):
        text = yield context.call_activity("shout", text)
    return text

@bp.activity_trigger(input_name="text")
def shout(text: str) -> str:
    return text + "!"
"""
FAN_OUT = """
@bp.orchestration_trigger(context_name="context")
def total(context):
    parts = yield context.call_activity("split", context.get_input())
    sizes = yield context.task_all([context.call_activity("size", part) for part in parts])
    context.set_custom_status({"parts": len(parts)})
    return {"parts": len(parts), "size": sum(sizes)}

@bp.activity_trigger(input_name="count")
def split(count: int) -> list:
    return ["x" * n for n in range(count)]

@bp.activity_trigger(input_name="part")
async def size(part: str) -> int:
    return len(part)
"""
APPROVAL = """
@bp.orchestration_trigger(context_name="context")
def approval(context):
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input()))
    answer = context.wait_for_external_event("answer")
    winner = yield context.task_any([answer, timer])
    if winner == timer:
        return "late"
    timer.cancel()
    return ["answered", answer.result]
"""


async def test_a_chain_of_activities(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, CHAIN)) as hub:
        assert await hub.run("chain", "hey") == "hey!!!"


async def test_fan_out_and_in(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, FAN_OUT)) as hub:
        state = await hub.ended(await hub.start("total", 30))
        assert state["output"] == {"parts": 30, "size": sum(range(30))}
        assert state["customStatus"] == {"parts": 30}


async def test_an_event_wins_over_a_timer_or_loses(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, APPROVAL)) as hub:
        links = await hub.start("approval", 600)
        await hub.until(links, "Running")
        assert await hub.post(links, "sendEventPostUri", {"by": 7}, eventName="answer") == 202
        assert (await hub.ended(links))["output"] == ["answered", {"by": 7}]
        assert await hub.post(links, "sendEventPostUri", 1, eventName="answer") == 410
        assert await hub.run("approval", 0.1) == "late"


MONITOR = """
@bp.orchestration_trigger(context_name="context")
def monitor(context):
    seen = context.get_input()
    done = yield context.call_activity("look", seen["looks"])
    if done:
        return seen
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=30))
    context.continue_as_new({"looks": seen["looks"] + 1})

@bp.activity_trigger(input_name="looks")
def look(looks: int) -> bool:
    return looks >= 5
"""
CHILDREN = """
@bp.orchestration_trigger(context_name="context")
def parent(context):
    retry = df.RetryOptions(20, 3)
    tasks = [context.call_sub_orchestrator_with_retry("child", retry, name) for name in context.get_input()]
    results = yield context.task_all(tasks)
    named = yield context.call_sub_orchestrator("child", "named", instance_id="child-of-mine")
    try:
        yield context.call_sub_orchestrator("child", "never")
    except Exception as error:
        results.append("never" if "no more than" in str(error) else str(error))
    return [*results, named]

@bp.orchestration_trigger(context_name="context")
def child(context):
    given = [context.get_input(), context.parent_instance_id is not None]
    return (yield context.call_activity("try_it", given))

TRIES = {}

@bp.activity_trigger(input_name="given")
def try_it(given: list) -> list:
    name, has_parent = given
    TRIES[name] = TRIES.get(name, 0) + 1
    if name == "never" or (name.startswith("flaky") and TRIES[name] < 3):
        raise ValueError("no more than a try")
    return [name, has_parent, TRIES[name]]
"""
EARLIEST = """
@bp.orchestration_trigger(context_name="context")
def earliest(context):
    left = [context.call_activity("nap", n) for n in context.get_input()]
    order = []
    while left:
        winner = yield context.task_any(left)
        left.remove(winner)
        order.append(winner.result)
    return order

@bp.activity_trigger(input_name="n")
async def nap(n: int) -> int:
    import asyncio
    await asyncio.sleep(n / 10)
    return n
"""
NAMED = """
import dataclasses

@bp.function_name("Total_V2")
@bp.orchestration_trigger(context_name="context", orchestration="total")
def whatever(context):
    yield context.create_timer(context.current_utc_datetime - timedelta(seconds=5))
    return [(yield context.call_activity("sum_up", [1, 2])), context.version]

@bp.activity_trigger(input_name="numbers", activity="sum_up")
def anything(numbers: list) -> int:
    return sum(numbers)
"""


async def test_a_monitor_continues_as_new_until_it_has_seen_enough(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, MONITOR)) as hub:
        state = await hub.ended(await hub.start("monitor", {"looks": 0}))
        assert (state["output"], json.loads(state["input"])) == ({"looks": 5}, {"looks": 5})


async def test_sub_orchestrations_are_tried_again_and_may_fail(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, CHILDREN)) as hub:
        assert await hub.run("parent", ["a", "flaky", "b"]) == [
            ["a", True, 1],
            ["flaky", True, 3],
            ["b", True, 1],
            "never",
            ["named", True, 1],
        ]


async def test_the_earliest_is_taken_first(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, EARLIEST)) as hub:
        assert await hub.run("earliest", [6, 1, 3]) == [1, 3, 6]


async def test_names_and_versions_of_the_decorators_and_of_host_json_count(tmp_path: Path) -> None:
    hub_json = {"extensions": {"durableTask": {"hubName": "Named", "defaultVersion": "2.1"}}}
    async with hosting_hub(write_durable_app(tmp_path, NAMED, hub_json)) as hub:
        assert await hub.run("total") == [3, "2.1"]
    assert (tmp_path / "data" / "durable" / "Named.sqlite").is_file()


LONG = """
import asyncio, pathlib

@bp.orchestration_trigger(context_name="context")
def long(context):
    return (yield context.call_activity("take_time"))

@bp.activity_trigger(input_name="nothing")
async def take_time(nothing) -> None:
    with pathlib.Path(__file__).with_name("ran").open("a") as file:
        file.write("x")
    await asyncio.sleep(2)
"""


async def test_an_activity_that_outlasts_its_claim_runs_once(tmp_path: Path) -> None:
    folder = write_durable_app(tmp_path, LONG)
    async with (
        hosting_hub(folder, "one", durable_lease_seconds=0.6) as hub,
        hosting_hub(folder, "two", durable_lease_seconds=0.6) as other,
    ):
        await asyncio.gather(hub.run("long"), other.run("long"))
    assert (tmp_path / "ran").read_text() == "xx"


async def test_what_ended_long_ago_is_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_durable_app(tmp_path, CHAIN)
    async with hosting_hub(folder) as hub:
        old, young = await hub.start("chain", "x"), await hub.start("chain", "y")
        await hub.ended(old)
        await hub.ended(young)
    with sqlite3.connect(folder / "data" / "durable" / "TestHubName.sqlite") as db:
        db.execute("UPDATE instances SET updated = updated - 7300 WHERE instance_id = ?", (old["id"],))
    db.close()
    monkeypatch.setenv("HOST_DURABLE_RETENTION_HOURS", "2")
    async with hosting_hub(folder) as hub:
        old, young = hub.moved(old), hub.moved(young)
        async with asyncio.timeout(10):
            while (await hub.web.get(old["statusQueryGetUri"])).status != 404:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await hub.status(young))["output"] == "y!!!"
