"""Orchestrations over HTTP and through the package's client: who may, what happens, what is answered."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.host.durable.apps import Hub, hosting_hub, write_durable_app

APP = """
@bp.orchestration_trigger(context_name="context")
def echo(context):
    text = yield context.call_activity("same", context.get_input())
    return text

@bp.activity_trigger(input_name="value")
def same(value):
    if value == "fail":
        raise ValueError("told to")
    return value

@bp.orchestration_trigger(context_name="context")
def wait(context):
    first = yield context.wait_for_external_event("go")
    second = yield context.wait_for_external_event("go")
    return [first, second]

@bp.route(route="client/{what}/{id?}", methods=["POST"], auth_level="anonymous")
@bp.durable_client_input(client_name="client")
async def use(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    what, made = req.route_params["what"], req.route_params.get("id")
    try:
        if what == "status":
            found = await client.get_status(made, show_input=True, show_history=True)
            result = {"exists": bool(found), "status": found.to_json() if found else None}
        elif what == "all":
            result = sorted(one.instance_id for one in await client.get_status_all())
        elif what == "by":
            found = await client.get_status_by(
                runtime_status=[df.OrchestrationRuntimeStatus.Completed], instance_id_prefix=made
            )
            result = sorted(one.instance_id for one in found)
        elif what == "purge":
            result = (await client.purge_instance_history(made)).instances_deleted
        elif what == "raise":
            result = await client.raise_event(made, "go", {"by": "client"})
        elif what == "start":
            result = await client.start_new("wait", made)
        elif what == "unknown":
            result = await client.start_new("nothing")
        elif what == "wait":
            return await client.wait_for_completion_or_create_check_status_response(req, made, 10_000, 100)
        else:
            result = await getattr(client, what)(made, *(["why"] if what != "restart" else [False]))
    except Exception as error:
        result = {"error": str(error)}
    return func.HttpResponse(json.dumps(result), mimetype="application/json")
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with hosting_hub(write_durable_app(tmp_path, APP)) as running:
        yield running


async def client(hub: Hub, what: str, instance_id: str = "") -> Any:
    async with hub.web.post(f"{hub.base}/api/client/{what}/{instance_id}") as answer:
        return json.loads(await answer.text())


async def raised(hub: Hub, links: dict[str, str], count: int) -> None:
    """Wait until the orchestration has read so many events: it drops those that come before it waits."""
    async with asyncio.timeout(10):
        while True:
            state = await hub.status(links, showHistory="true")
            if sum(one["EventType"] == "EventRaised" for one in state["historyEvents"]) == count:
                return
            await asyncio.sleep(0.02)


async def test_the_management_needs_its_key_or_the_master_key(hub: Hub, tmp_path: Path) -> None:
    keys = json.loads((tmp_path / "data" / "host-keys.json").read_text())
    url = f"{hub.base}/runtime/webhooks/durabletask/instances"
    for key, status in [
        (None, 401),
        ("wrong", 401),
        (keys["functionKeys"]["default"], 401),
        (keys["systemKeys"]["durabletask_extension"], 200),
        (keys["masterKey"], 200),
    ]:
        async with hub.web.get(url, params={"code": key} if key else {}) as answer:
            assert answer.status == status, key
        async with hub.web.get(url, headers={"x-functions-key": key} if key else {}) as answer:
            assert answer.status == status, key
    async with hub.web.post(f"{hub.base}/api/start/echo", params={"code": "x"}, json="a") as answer:
        assert answer.status == 202  # a function of its own level


async def test_the_clients_own_address_is_not_to_be_guessed(hub: Hub) -> None:
    for path in ("durabletask/instances", "durabletask/x/instances", "durabletask/", "durabletask"):
        async with hub.web.get(f"{hub.base}/{path}") as answer:
            assert answer.status == 404, path


async def test_status_has_input_output_and_history(hub: Hub) -> None:
    links = await hub.start("echo", {"a": [1, None, "é"]})
    await hub.ended(links)
    state = await hub.status(links, showHistory="true", showHistoryOutput="true")
    assert state["output"] == {"a": [1, None, "é"]}
    assert json.loads(state["input"]) == {"a": [1, None, "é"]}
    assert (state["name"], state["instanceId"], state["customStatus"]) == ("echo", links["id"], None)
    kinds = [one["EventType"] for one in state["historyEvents"]]
    assert kinds == [
        *("OrchestratorStarted", "ExecutionStarted", "TaskScheduled", "OrchestratorCompleted"),
        *("OrchestratorStarted", "TaskCompleted", "ExecutionCompleted", "OrchestratorCompleted"),
    ]
    assert not any(name.startswith("_") for one in state["historyEvents"] for name in one)
    bare = await hub.status(links, showInput="false", showHistory="true")
    assert bare["input"] is None
    assert not any("Result" in one or "Input" in one for one in bare["historyEvents"])
    found = await client(hub, "status", links["id"])
    assert (found["exists"], found["status"]["runtimeStatus"]) == (True, "Completed")
    assert (await client(hub, "status", "nobody"))["exists"] is False


async def test_any_json_can_be_asked_for_and_listed(hub: Hub) -> None:
    for odd in (2**70, "half of a pair: \ud800"):
        links = await hub.start("echo", odd)
        assert (await hub.ended(links))["output"] == odd
    async with hub.web.get(links["statusQueryGetUri"].replace(f"/{links['id']}", "")) as answer:
        assert answer.status == 200
        assert {2**70, "half of a pair: \ud800"} == {each["output"] for each in await answer.json()}


async def test_a_start_over_http_takes_an_id_and_plain_json(hub: Hub) -> None:
    code = (await hub.start("echo"))["statusQueryGetUri"].partition("code=")[2]
    url = f"{hub.base}/runtime/webhooks/durabletask/orchestrators"
    async with hub.web.post(f"{url}/echo/mine", params={"code": code}, json=[1, 2]) as answer:
        links = await answer.json()
        assert (answer.status, links["id"]) == (202, "mine")
        assert answer.headers["location"] == links["statusQueryGetUri"]
    assert (await hub.ended(links))["output"] == [1, 2]
    waiting = {"code": code, "timeout": "10", "pollingInterval": "1"}
    async with hub.web.post(f"{url}/echo", params=waiting, json={"b": 1}) as answer:
        assert (answer.status, await answer.json()) == (200, {"b": 1})
    for name, body, status in [
        ("nothing", b"1", 400),
        ("echo/a%2Fb", b"1", 400),
        ("echo/@a", b"1", 400),
        ("echo/" + 101 * "a", b"1", 400),
        ("echo", b"{", 400),
        ("echo/" + 100 * "a", b"1", 202),
    ]:
        async with hub.web.post(f"{url}/{name}", params={"code": code}, data=body) as answer:
            assert answer.status == status, name


async def test_one_id_cannot_run_twice_but_may_run_again(hub: Hub) -> None:
    assert await client(hub, "start", "only") == "only"
    assert "already runs" in (await client(hub, "start", "only"))["error"]
    assert await client(hub, "terminate", "only") is None
    async with asyncio.timeout(10):
        while (await client(hub, "status", "only"))["status"]["runtimeStatus"] != "Terminated":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await client(hub, "start", "only") == "only"


async def test_events_reach_what_waits_for_them(hub: Hub) -> None:
    links = await hub.start("wait")
    await hub.until(links, "Running")
    assert await hub.post(links, "sendEventPostUri", {"by": "http"}, eventName="go") == 202
    await raised(hub, links, 1)
    assert await client(hub, "raise", links["id"]) is None
    output = (await hub.ended(links))["output"]
    assert output[0] == {"by": "http"}
    assert json.loads(output[1]) == {"by": "client"}  # encoded twice by the package, as on the platform
    assert "is gone" in (await client(hub, "raise", links["id"]))["error"]
    assert "No instance" in (await client(hub, "raise", "nobody"))["error"]
    async with hub.web.post(links["sendEventPostUri"].replace("{eventName}", "go"), data=b"x") as answer:
        assert answer.status == 400  # not JSON


async def test_a_suspended_orchestration_waits_until_it_is_resumed(hub: Hub) -> None:
    links = await hub.start("wait")
    await hub.until(links, "Running")
    assert await client(hub, "suspend", links["id"]) is None
    await hub.until(links, "Suspended")
    assert await hub.post(links, "sendEventPostUri", 1, eventName="go") == 202
    await asyncio.sleep(0.6)  # twice as long as an idle host waits
    state = await hub.status(links, showHistory="true")
    assert state["runtimeStatus"] == "Suspended"
    assert not any(one["EventType"] == "EventRaised" for one in state["historyEvents"])
    assert await hub.post(links, "resumePostUri", text="go on") == 202
    await raised(hub, links, 1)
    assert await hub.post(links, "sendEventPostUri", 2, eventName="go") == 202
    assert (await hub.ended(links))["output"] == [1, 2]
    assert [await hub.post(links, link, text="x") for link in ("suspendPostUri", "resumePostUri")] == [
        410
    ] * 2


async def test_a_terminated_orchestration_says_why_even_if_it_is_suspended(hub: Hub) -> None:
    links = await hub.start("wait")
    await hub.until(links, "Running")
    await hub.post(links, "suspendPostUri", text="x")
    await hub.until(links, "Suspended")
    assert await hub.post(links, "terminatePostUri", text="enough") == 202
    state = await hub.ended(links)
    assert (state["runtimeStatus"], state["output"]) == ("Terminated", "enough")
    assert await hub.post(links, "terminatePostUri", text="again") == 410
    nobody = {"post": links["terminatePostUri"].replace(links["id"], "nobody")}
    assert await hub.post(nobody, "post", text="x") == 404


async def test_restart_runs_the_same_input_again(hub: Hub) -> None:
    links = await hub.start("echo", "hey")
    await hub.ended(links)
    async with hub.web.post(links["restartPostUri"]) as answer:
        again = await answer.json()
        assert (answer.status, again["id"] != links["id"]) == (202, True)
    assert (await hub.ended(again))["output"] == "hey"
    assert (await client(hub, "restart", links["id"]))["id"] == links["id"]
    assert (await hub.ended(links))["output"] == "hey"
    assert "No instance" in (await client(hub, "restart", "nobody"))["error"]


async def test_only_what_has_ended_can_be_purged(hub: Hub) -> None:
    running, ended = await hub.start("wait"), await hub.start("echo", "x")
    await hub.ended(ended)
    assert await client(hub, "purge", ended["id"]) == 1
    assert await client(hub, "purge", ended["id"]) == 0
    assert "409" in (await client(hub, "purge", running["id"]))["error"]
    assert await client(hub, "all") == [running["id"]]


def rows_with(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """Find a text anywhere in the tables of a hub."""
    with sqlite3.connect(path) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608
                yield from ((table, str(value)) for value in row if text in str(value))
    db.close()


async def test_nothing_of_a_purged_orchestration_is_left_in_the_files(tmp_path: Path) -> None:
    secret = "a-text-to-be-forgotten"
    folder = tmp_path / "data" / "durable"
    async with hosting_hub(write_durable_app(tmp_path, APP)) as hub:
        links = await hub.start("echo", [secret] * 500)  # several pages of the file
        await hub.ended(links)
        assert [*rows_with(folder / "TestHubName.sqlite", secret)]
        assert await client(hub, "purge", links["id"]) == 1
        assert not [*rows_with(folder / "TestHubName.sqlite", secret)]
        assert [path.name for path in folder.iterdir() if secret.encode() in path.read_bytes()] == []
    assert [path.name for path in folder.iterdir() if secret.encode() in path.read_bytes()] == []


async def test_lists_are_filtered_and_come_in_pages(hub: Hub) -> None:
    code = (await hub.start("echo"))["statusQueryGetUri"].partition("code=")[2]
    url = f"{hub.base}/runtime/webhooks/durabletask"  # the first id is hexadecimal
    for name in ("x1", "x2", "x3", "y1"):
        async with hub.web.post(f"{url}/orchestrators/echo/{name}", params={"code": code}, json=1) as answer:
            await hub.ended(await answer.json())
    assert await client(hub, "by", "x") == ["x1", "x2", "x3"]

    async def listed(token: str = "", **query: str) -> tuple[list[str], str]:
        headers = {"x-ms-continuation-token": token} if token else {}
        async with hub.web.get(f"{url}/instances", params={"code": code, **query}, headers=headers) as answer:
            found = [one["instanceId"] for one in await answer.json()]
            return found, answer.headers["x-ms-continuation-token"]

    first, token = await listed(top="2", instanceIdPrefix="x")
    second, end = await listed(token, top="2", instanceIdPrefix="x")
    assert (first + second, end) == (["x1", "x2", "x3"], "")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert await listed(createdTimeFrom=later) == ([], "")
    assert len((await listed(createdTimeTo=later, runtimeStatus="Completed,Failed"))[0]) >= 4
    assert await listed(runtimeStatus="Suspended") == ([], "")


@pytest.mark.parametrize("top", ["²", "9" * 40, "0", "-1", "x"])
async def test_a_page_of_no_size_or_of_any_is_answered(hub: Hub, top: str) -> None:
    links = await hub.start("echo", 1)
    await hub.ended(links)
    url = links["statusQueryGetUri"].replace(f"/{links['id']}", "")
    async with hub.web.get(url, params={"top": top}) as answer:
        assert [each["instanceId"] for each in await answer.json()] == [links["id"]]


async def test_json_that_is_nested_too_deeply_is_refused(hub: Hub) -> None:
    url = (await hub.start("echo"))["statusQueryGetUri"].partition("/instances/")
    code = url[2].partition("?")[2]
    async with hub.web.post(f"{url[0]}/orchestrators/echo/deep?{code}", data="[" * 100_000) as answer:
        assert (answer.status, "Invalid JSON" in await answer.text()) == (400, True)


async def test_a_purge_needs_a_beginning(hub: Hub) -> None:
    links = await hub.start("echo", 1)
    await hub.ended(links)
    code = links["statusQueryGetUri"].partition("code=")[2]
    url = f"{hub.base}/runtime/webhooks/durabletask/instances"
    for query, status in [
        ({}, 400),
        ({"createdTimeFrom": "yesterday"}, 400),
        ({"createdTimeFrom": "2026-01-01T00:00:00Z", "runtimeStatus": "Failed"}, 404),
        ({"createdTimeFrom": "2026-01-01T00:00:00Z"}, 200),
        ({"createdTimeFrom": "2026-01-01T00:00:00Z"}, 404),
    ]:
        async with hub.web.delete(url, params={"code": code, **query}) as answer:
            assert answer.status == status, query


async def test_what_the_host_does_not_do_is_refused_by_name(hub: Hub) -> None:
    links = await hub.start("echo", "x")
    code = links["statusQueryGetUri"].partition("code=")[2]
    async with hub.web.post(links["rewindPostUri"]) as answer:
        assert (answer.status, "rewind" in await answer.text()) == (501, True)
    url = f"{hub.base}/runtime/webhooks/durabletask"
    async with hub.web.get(f"{url}/entities/counter/1", params={"code": code}) as answer:
        assert (answer.status, "entity" in await answer.text()) == (501, True)
    async with hub.web.get(f"{url}/instances", params={"code": code, "taskHub": "Other"}) as answer:
        assert (answer.status, "Other" in await answer.text()) == (400, True)
    async with hub.web.get(f"{url}/nothing", params={"code": code}) as answer:
        assert answer.status == 404
    assert "rewind" in str((await client(hub, "rewind", links["id"]))["error"])


async def test_a_failure_is_told_to_who_asks_and_who_waits(hub: Hub) -> None:
    links = await hub.start("echo", "fail")
    state = await hub.ended(links)
    assert state["runtimeStatus"] == "Failed"
    assert "Activity function 'same' failed: ValueError: told to" in state["output"]
    async with hub.web.get(
        links["statusQueryGetUri"], params={"returnInternalServerErrorOnFailure": "true"}
    ) as answer:
        assert answer.status == 500
    assert (await client(hub, "wait", links["id"]))["runtimeStatus"] == "Failed"
    assert "nothing" in (await client(hub, "unknown"))["error"]
