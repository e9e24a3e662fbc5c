"""``fleet doctor`` on a real database: a fresh one, one with drift, one that a key may not write."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ops.__main__ import cli
from ops.checkup import check_rights
from shared.clock import SYSTEM_CLOCK
from shared.containers import CATALOGUE
from shared.cosmos.provisioning import apply_catalogue, apply_containers
from shared.fleet.wiring import connected_fleet
from shared.rights import READ_METADATA, Action, Identity, grants_of
from shared.settings import load_settings
from tests.cosmos_in_process import DATABASE, ENDPOINT, InProcessCosmos, InProcessTransport
from tests.cosmos_server import ServerProcess, running_server
from tests.fleet_in_process import Token, ask_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("cosmos")) as process:
        yield process


@pytest.fixture
async def database(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DatabaseProxy]:
    name = f"db-{uuid4().hex}"
    monkeypatch.setenv("CosmosDb", server.connection_string)
    monkeypatch.setenv("COSMOS_DATABASE", name)
    async with CosmosClient.from_connection_string(server.connection_string) as client:
        yield client.get_database_client(name)


async def diagnosis() -> tuple[int, dict[str, tuple[str, str]]]:
    ended = await asyncio.to_thread(CliRunner().invoke, cli, ["doctor", "--json"])
    findings = json.loads(ended.stdout)
    return ended.exit_code, {each["subject"]: (each["verdict"], each["text"]) for each in findings}


def lease(number: int, owner: str | None, seconds_ago: float, generation: int = 1) -> dict[str, Any]:
    at = (SYSTEM_CLOCK.now() - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return {
        "id": f"fold-{generation}-account_{number}",
        "LeaseToken": str(number),
        "Owner": owner,
        "timestamp": at,
    }


async def test_a_database_that_does_not_exist_is_a_problem_with_its_remedy(database: DatabaseProxy) -> None:
    code, found = await diagnosis()
    assert code == 1
    assert found["containers"] == ("problem", f"Missing: the database {database.id}.")
    assert "rights" not in found


async def test_an_account_that_refuses_the_key_ends_with_2(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.connection_string.partition(";")[0]
    monkeypatch.setenv("CosmosDb", f"{address};AccountKey=c2VjcmV0;")
    code, found = await diagnosis()
    assert (code, found["account"][0]) == (2, "problem")
    assert found["account"][1].startswith("It refuses the key: ")


async def test_a_database_as_it_should_be_has_no_problem(
    database: DatabaseProxy, server: ServerProcess
) -> None:
    async with CosmosClient.from_connection_string(server.connection_string) as client:
        await apply_catalogue(client, database.id)
    code, found = await diagnosis()
    assert code == 0, found
    assert found["state"][0] == found["leases"][0] == "warning"  # nothing has run yet
    assert found["account"][0] == found["containers"][0] == found["rights"][0] == "ok"

    async with connected_fleet(load_settings()):
        pass
    leases = database.get_container_client("change_feed_leases")
    for number in range(2):
        await leases.upsert_item(lease(number, f"host-{number}", 5))
    await leases.upsert_item(lease(9, "host-0", 9_000, generation=7))  # of another generation
    code, found = await diagnosis()
    assert (code, found["state"][0]) == (0, "ok")
    assert found["leases"] == ("ok", "All 2 are held, by 2 hosts.")

    await leases.upsert_item(lease(1, "host-1", 90))
    assert (await diagnosis())[1]["leases"][0] == "warning"
    await leases.upsert_item(lease(0, None, 5))
    code, found = await diagnosis()
    assert (code, found["leases"][0]) == (1, "problem")
    assert found["leases"][1].startswith("2 of 2 leases are not held; the last renewal was at ")


async def test_drift_and_a_lost_state_are_named(database: DatabaseProxy, server: ServerProcess) -> None:
    async with CosmosClient.from_connection_string(server.connection_string) as client:
        await apply_catalogue(client, database.id)
        async with connected_fleet(load_settings()):
            pass
        await database.delete_container("view_state")
        await database.delete_container("users")
        await apply_catalogue(client, database.id)
        properties = await database.get_container_client("users").read()
        properties["defaultTtl"] = 60
        link = database.get_container_client("users").container_link
        await client.client_connection.ReplaceContainer(link, properties)
    code, found = await diagnosis()
    assert code == 1
    assert found["containers"][0] == "warning"
    assert "users: default TTL is 60" in found["containers"][1]
    assert found["state"][0] == "problem"
    assert "view_state is not the state" in found["state"][1]


def rights_of(identity: Identity) -> dict[str, list[str]]:
    return {"": [READ_METADATA], **{name: [*actions] for name, actions in grants_of(identity).items()}}


async def rights(grants: dict[str, list[str]]) -> tuple[str, str]:
    """Return what the doctor says to the bearer of a token with these rights."""
    cosmos = InProcessCosmos(time.time)
    try:
        async with cosmos.client() as database:
            await apply_containers(database, CATALOGUE)
        await ask_server(cosmos, "PUT", "rights", {"tokens": {"token": grants}})
        async with CosmosClient(ENDPOINT, Token("token"), transport=InProcessTransport(cosmos.app)) as client:
            [finding] = await check_rights(client.get_database_client(DATABASE))
        assert not any(cosmos.documents(each.name) for each in CATALOGUE)
    finally:
        cosmos.close()
    return finding.verdict, finding.text


async def test_an_identity_with_the_rights_of_the_functions_has_all_and_no_others() -> None:
    assert await rights(rights_of(Identity.FLEET)) == ("ok", "Exactly what the functions need is allowed.")


@given(st.data())
@settings(max_examples=10, deadline=None)
def test_each_missing_and_each_needless_right_is_named(data: Any) -> None:
    grants = rights_of(Identity.FLEET)
    name = data.draw(st.sampled_from([name for name in grants if name]))
    action = data.draw(st.sampled_from(sorted(grants[name])))
    grants[name].remove(action)
    verdict, text = asyncio.run(rights(grants))
    assert verdict == "problem"
    assert text == f"Missing: {Action(action).name.lower()} in {name}."

    grants = rights_of(Identity.FLEET)
    needed = grants_of(Identity.LIFECYCLE)
    needless = {*Action} - {*grants["content_popularity"]} - needed.get("content_popularity", frozenset())
    action = data.draw(st.sampled_from(sorted(needless)))
    grants["content_popularity"].append(action)
    named = f"Allowed, and no function needs it: {Action(action).name.lower()} in content_popularity."
    assert asyncio.run(rights(grants)) == ("warning", named)
