"""``fleet containers`` on a real database, by its key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosHttpResponseError
from click.testing import Result
from typer.testing import CliRunner

from ops.__main__ import cli
from shared.containers import CATALOGUE, container
from shared.cosmos.container_plan import changed_properties
from shared.cosmos.provisioning import KeyPlane, apply_plan, plan_containers
from tests.cosmos_server import ServerProcess

USERS = container("users")
SESSIONS = container("user_sessions")


@pytest.fixture
async def database(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DatabaseProxy]:
    """A database that does not exist yet, which the commands' settings name."""
    name = f"db-{uuid4().hex}"
    monkeypatch.setenv("CosmosDb", server.connection_string)
    monkeypatch.setenv("COSMOS_DATABASE", name)
    monkeypatch.delenv("COSMOS_ACCOUNT_ID", raising=False)
    async with CosmosClient.from_connection_string(server.connection_string) as client:
        yield client.get_database_client(name)


async def fleet(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, ["containers", *arguments])


async def planned() -> tuple[int, dict[str, Any]]:
    ended = await fleet("plan", "--json")
    return ended.exit_code, json.loads(ended.stdout)


async def test_a_plan_is_shown_then_done_then_there_is_nothing_to_do(database: DatabaseProxy) -> None:
    code, plan = await planned()
    assert (code, plan["database_exists"], len(plan["create"])) == (1, False, len(CATALOGUE))
    ended = await fleet("apply")
    assert ended.exit_code == 0, ended.output
    assert "The database does not exist: create it." in ended.stdout
    assert f"{len(CATALOGUE)} created, 0 properties changed, 0 differences left." in ended.stdout
    code, plan = await planned()
    assert (code, len(plan["unchanged"])) == (0, len(CATALOGUE))
    again = json.loads((await fleet("apply", "--json")).stdout)
    assert (again["created"], again["changed"], again["drifted"]) == ([], [], [])


@pytest.mark.parametrize("command", [["prices", "list"], ["views", "list"], ["poison", "list"]], ids=" ".join)
async def test_a_command_without_its_database_names_the_command_that_makes_it(
    database: DatabaseProxy, command: list[str]
) -> None:
    ended = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert ended.exit_code == 2, ended.output
    assert "the database or containers are missing" in ended.stderr
    assert "`fleet containers apply`" in ended.stderr


async def test_an_older_database_is_brought_to_the_catalogue_and_keeps_what_is_its_own(
    database: DatabaseProxy,
) -> None:
    await fleet("apply")
    await database.delete_container(USERS.name)
    await database.delete_container(SESSIONS.name)
    await database.create_container(
        USERS.name,
        PartitionKey(path=USERS.partition_key),
        unique_key_policy={"uniqueKeys": [{"paths": ["/email"]}]},
        offer_throughput=ThroughputProperties(auto_scale_max_throughput=9_000),
    )
    await database.create_container(SESSIONS.name, PartitionKey(path="/session_id"), offer_throughput=400)
    code, plan = await planned()
    steps = {
        kind: {(d["container"], d["prop"]) for d in plan[kind]} for kind in ("change", "expire", "impossible")
    }
    assert code == 1
    assert ("users", "autoscale maximum (RU/s)") in steps["change"]
    assert steps["expire"] == {("user_sessions", "default TTL")}
    assert steps["impossible"] == {
        ("user_sessions", "partition key"),
        ("user_sessions", "autoscale maximum (RU/s)"),
    }
    shown = await fleet("plan")
    assert "Cannot be changed in place" in shown.stdout
    assert "A partition key cannot be changed." in shown.stderr

    ended = await fleet("apply")
    assert (ended.exit_code, "needs --allow-expiry" in ended.stdout) == (1, True)
    users = await database.get_container_client(USERS.name).read()
    assert users["uniqueKeyPolicy"]["uniqueKeys"][0]["paths"] == ["/email"]
    throughput = await database.get_container_client(USERS.name).get_throughput()
    assert throughput.auto_scale_max_throughput == USERS.autoscale_max
    _, plan = await planned()
    assert (plan["change"], len(plan["expire"]), len(plan["impossible"])) == ([], 1, 2)

    await fleet("apply", "--allow-expiry")
    _, plan = await planned()
    assert (plan["change"], plan["expire"], len(plan["impossible"])) == ([], [], 2)


async def test_a_container_that_changed_after_the_plan_keeps_its_lifetime(database: DatabaseProxy) -> None:
    """A step that made documents live longer would now let them expire."""
    await fleet("apply")
    plane, index = KeyPlane(database), {"indexingMode": "consistent", "includedPaths": [{"path": "/*"}]}

    async def set_lifetime(seconds: int) -> None:
        found = await plane.read(SESSIONS.name)
        assert found is not None
        await plane.replace(
            found,
            {**found.properties, "defaultTtl": seconds, "indexingPolicy": {**index, "excludedPaths": []}},
        )

    await set_lifetime(60)
    plan = await plan_containers(plane)
    assert (plan.expire, plan.change != []) == ([], True)
    await set_lifetime(-1)
    report = await apply_plan(plane, plan)
    assert report.changed == []
    assert report.refused == ["user_sessions: it was changed after the plan; see the new plan first"]
    assert {drift.container for drift in report.drifted} == {SESSIONS.name}
    properties = await plane.read_properties(SESSIONS.name)
    assert properties is not None
    assert properties["defaultTtl"] == -1
    again = await apply_plan(plane, await plan_containers(plane))
    assert [drift.prop for drift in again.drifted] == ["default TTL"]


async def test_a_container_that_changed_meanwhile_is_not_overwritten(database: DatabaseProxy) -> None:
    await fleet("apply")
    plane = KeyPlane(database)
    before = await plane.read(USERS.name)
    assert before is not None
    await plane.replace(before, changed_properties(USERS, before.properties, with_ttl=True))
    with pytest.raises(CosmosHttpResponseError) as caught:
        await plane.replace(before, changed_properties(USERS, before.properties, with_ttl=True))
    assert caught.value.status_code == 412
