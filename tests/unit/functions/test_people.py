"""Export and erasure over HTTP, as orchestrations, and by the timer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from functions import people as functions
from shared.people.people import People
from shared.rights import Identity
from tests.durable_replay import START, Call, replay
from tests.unit.functions.test_schema import Client
from tests.unit.shared.people.world import World, fill
from tests.unit.shared.people.world import world as new_world

PERSON = "ann-marie"
STATUS = df.OrchestrationRuntimeStatus


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with new_world() as one:
        await fill(one, [PERSON, "ben"])
        fleet = await one.fleet()
        await one.deliver(fleet)

        async def running(_: Identity) -> Any:
            return fleet

        @asynccontextmanager
        async def connected(_: Any) -> AsyncIterator[People]:
            yield one.people(fleet)

        monkeypatch.setattr(functions, "fleet", running)
        monkeypatch.setattr(functions, "connected_people", connected)
        yield one


async def post(start: Any, body: Any, client: Any = None) -> tuple[int, dict[str, Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = func.HttpRequest(method="POST", url="/api/people", body=raw)
    answer = await start._function._func.client_function(request, client or Client(None))
    return answer.status_code, json.loads(answer.get_body())


async def get(request_id: str) -> tuple[int, dict[str, Any]]:
    request = func.HttpRequest(
        method="GET", url="/api/people/requests", route_params={"request_id": request_id}, body=b""
    )
    answer = await functions.get_people_request._function._func(request)
    return answer.status_code, json.loads(answer.get_body())


async def test_an_erasure_is_started_once_goes_on_to_its_end_and_names_nobody(world: World) -> None:
    client, order = Client(None), {"user_id": PERSON, "reason": "person", "by": "eve"}
    status, body = await post(functions.start_erasure, order, client)
    assert (status, body["status"], body["by"]) == (202, "running", "eve")
    assert client.started == [("serve_person", f"person-{body['id']}", body["id"])]
    again = Client(STATUS.ContinuedAsNew)
    assert (await post(functions.start_erasure, order, again))[1]["id"] == body["id"]
    assert again.started == []
    for _ in range(20):
        done = await functions.serve_person_step._function._func(body["id"])
        world.now += timedelta(seconds=done["seconds"])
        assert PERSON not in json.dumps(done)
        if done["over"]:
            break
    assert done == {"over": True, "status": "done", "step": 10, "seconds": 0.0}
    status, audit = await get(body["id"])
    assert (status, audit["status"]) == (200, "done")
    assert PERSON not in json.dumps([body, audit])
    assert world.mentions(PERSON) == []


async def test_an_export_is_made_and_its_link_is_answered(world: World) -> None:
    _, body = await post(functions.start_export, {"user_id": PERSON, "by": "eve"})
    assert "link" not in (await get(body["id"]))[1]
    assert (await functions.serve_person_step._function._func(body["id"]))["over"]
    status, audit = await get(body["id"])
    assert status == 200
    assert audit["link"].startswith("https://storage/new.")
    world.exports.blobs.clear()
    status, refused = await get(body["id"])
    assert (status, "does not exist" in refused["error"]) == (409, True)


async def test_a_request_that_does_not_exist_is_not_found(world: World) -> None:
    status, body = await get("cafe")
    assert (status, body) == (404, {"error": "There is no request 'cafe', or its audit has expired."})


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"no JSON", "body: is not of the form"),
        ([], "user_id: is not a text"),
        ({"by": "eve", "reason": "person"}, "user_id: is not a text"),
        ({"user_id": "", "by": "eve", "reason": "person"}, "user_id: is not a text"),
        ({"user_id": "x" * 1_024, "by": "eve", "reason": "person"}, "user_id: is not a text"),
        ({"user_id": 7, "by": "eve", "reason": "person"}, "user_id: is not a text"),
        ({"user_id": PERSON, "reason": "person"}, "by: is not a name"),
        ({"user_id": PERSON, "by": "eve"}, "reason: is not one of person, "),
        (
            {"user_id": PERSON, "by": "eve", "reason": f"{PERSON} asked for it"},
            "reason: is not one of person, ",
        ),
        (b"x" * 20_000, "body: 20000 bytes"),
    ],
)
async def test_what_is_no_order_is_refused_without_naming_anybody(
    world: World, body: Any, problem: str
) -> None:
    status, answer = await post(functions.start_erasure, body)
    assert status == 400
    assert answer["error"].startswith(problem)
    assert PERSON not in answer["error"]


def test_the_orchestration_goes_from_step_to_step_waits_and_ends() -> None:
    step = iter(
        [
            {"over": False, "status": "running", "step": 8, "seconds": 90.5},
            {"over": True, "status": "done", "step": 10, "seconds": 0},
        ]
    )
    run = replay(functions.serve_person, "cafe", activities={"serve_person_step": lambda _: next(step)})
    assert (run.status, run.output["status"]) == ("Completed", "done")
    assert run.calls == [Call("serve_person_step", "cafe")] * 2
    assert run.ended_at - START >= timedelta(seconds=90.5)
    assert run.custom_status == {"status": "done", "step": 10}


async def test_the_timer_continues_what_was_started(world: World) -> None:
    _, body = await post(functions.start_erasure, {"user_id": PERSON, "reason": "authority", "by": "eve"})
    for _ in range(2):
        await functions.serve_people._function._func(SimpleNamespace())
        world.now += timedelta(minutes=5)
    assert (await get(body["id"]))[1]["status"] == "done"
