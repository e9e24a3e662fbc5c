"""Generations on a real database: what refuses to work, and how one takes the place of another."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from typer.testing import CliRunner

from functions import runtime
from ops.__main__ import cli
from shared.clock import SYSTEM_CLOCK
from shared.cosmos.provisioning import apply_catalogue
from shared.errors import NotReadyError, SettingsError
from shared.fleet.wiring import Fleet, connected_fleet
from shared.ledger.generations import LAYOUT
from shared.rights import Identity
from shared.settings import Settings
from tests.cosmos_server import ServerProcess
from tests.integration.shared.conftest import Feed, interaction


def changed(settings: Settings, **values: Any) -> Settings:
    """Return other settings for the same database."""
    return settings.model_copy(update=values)


async def day(fleet: Fleet) -> tuple[int, int]:
    """Return the generation that is published for the day, and its interactions."""
    found = await Feed(fleet).day()
    return found["state"]["generation"], found["usage_statistics"]["total_interactions"]


async def test_a_fleet_with_another_number_of_shards_refuses_to_work(feed: Feed, settings: Settings) -> None:
    await feed.write(interaction())
    await feed.deliver()
    with pytest.raises(SettingsError, match=r"FLEET_SHARDS is 3, but generation 1 was begun with 64 shards"):
        await connected_fleet(changed(settings, shards=3)).__aenter__()
    assert await day(feed.fleet) == (1, 1)


async def test_an_invocation_fails_until_the_settings_are_right(
    fleet: Fleet, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "current_settings", lambda: changed(settings, shards=3))
    for _ in range(2):
        with pytest.raises(SettingsError, match="FLEET_SHARDS is 3"):
            await runtime.fleet()
    monkeypatch.setattr(runtime, "current_settings", lambda: settings)
    opened = await runtime.fleet()
    assert (await opened.generations.begin()).shards == settings.shards
    await close_runtime()


async def close_runtime() -> None:
    """Close the fleet of this event loop, which lives on after the test."""
    lifetime = runtime._runtimes.pop((asyncio.get_running_loop(), Identity.FLEET)).lifetime
    assert lifetime is not None
    await lifetime.__aexit__(None, None, None)


@pytest.mark.parametrize("how", ["deleted", "emptied", "restored"])
async def test_a_state_that_is_gone_stops_a_running_fleet_instead_of_a_count_from_nothing(
    feed: Feed, settings: Settings, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(runtime, "current_settings", lambda: settings)
    monkeypatch.setattr(runtime, "STATE_CHECK_SECONDS", 0.0)
    await feed.write(*(interaction(id=f"i{n}") for n in range(5)))
    running = await runtime.fleet()
    await runtime.check_ready()
    database, before = running.database, list[Any]()
    state = database.get_container_client("view_state")
    if how == "restored":
        before = [item async for item in state.query_items("SELECT * FROM c")]
        await running.mark.advance()
    await feed.deliver()
    assert await day(feed.fleet) == (1, 5)
    await database.delete_container("view_state")
    if how == "deleted":
        with pytest.raises(NotReadyError, match=r"missing.*fleet containers apply"):
            await runtime.fleet()
    async with CosmosClient.from_connection_string(settings.cosmos_connection_string or "") as client:
        await apply_catalogue(client, settings.cosmos_database)
    for item in before:
        await state.upsert_item(item)
    await feed.write(interaction(id="later"))
    started = connected_fleet(settings)
    for attempt in (runtime.fleet, running.auditor.audit_all, running.check_ready, started.__aenter__):
        with pytest.raises(SettingsError, match=r"generation 1 has counted.*Set FLEET_GENERATION to 2 "):
            await attempt()
    assert await day(feed.fleet) == (1, 5)
    async with connected_fleet(changed(settings, generation=2)) as second:
        await second.auditor.audit_all(delay_seconds=0)
        assert await day(second) == (2, 6)
    await close_runtime()


async def test_readiness_names_a_container_that_is_missing(fleet: Fleet) -> None:
    await fleet.check_ready()
    await fleet.database.delete_container("poison_messages")
    await fleet.database.delete_container("abuse_incidents")
    with pytest.raises(NotReadyError, match=r"missing: .*(abuse_incidents, p|poison_messages, a)"):
        await fleet.check_ready()


async def test_a_new_generation_takes_the_place_of_the_old_one_when_it_has_counted_all(
    feed: Feed, settings: Settings
) -> None:
    await feed.write(*(interaction(id=f"i{n}", user_id=f"u{n % 7}") for n in range(30)))
    await feed.deliver()
    assert await day(feed.fleet) == (1, 30)
    async with connected_fleet(changed(settings, generation=2, shards=3)) as second:
        new = Feed(second)
        some = [item async for item in new.container.query_items_change_feed(start_time="Beginning")][:10]
        await second.ingest.ingest_batch("user_interactions", some)
        await new.publish()
        assert await day(second) == (1, 30)
        await new.write(interaction(id="later"))
        reports = await second.auditor.audit_all(delay_seconds=0)
        assert {report.feed: report.repaired for report in reports}["user_interactions"] == 21
        assert await day(second) == (2, 31)
        again = await second.auditor.audit_all(delay_seconds=0)
        assert {(report.repaired, report.caught_up) for report in again} == {(0, True)}
    with pytest.raises(SettingsError, match="FLEET_GENERATION is 1, but generation 2 has taken its place"):
        await connected_fleet(settings).__aenter__()


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("CosmosDb", settings.cosmos_connection_string or "")
    monkeypatch.setenv("COSMOS_DATABASE", settings.cosmos_database)


def ops(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.usefixtures("operator")
def test_an_operator_who_looks_does_not_fix_the_number_of_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_SHARDS", "5")
    assert ops("poison", "list").exit_code == 0
    monkeypatch.delenv("FLEET_SHARDS")
    assert ops("audit", "run", "--delay", "0").exit_code == 0
    monkeypatch.setenv("FLEET_SHARDS", "5")
    refused = ops("poison", "list")
    assert refused.exit_code == 2
    assert "FLEET_SHARDS is 5" in " ".join(refused.output.split())


@pytest.mark.usefixtures("operator")
async def test_an_operator_removes_the_state_of_the_generation_before(
    feed: Feed, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await feed.write(*(interaction(id=f"i{n}", user_id=f"u{n}") for n in range(60)))
    await feed.deliver()
    await feed.fleet.scheduled.publish_due(everything=True)  # leaves passage usage and progress
    monkeypatch.setenv("FLEET_GENERATION", "2")

    async def told(*arguments: str) -> Any:
        told = await asyncio.to_thread(ops, "generations", *arguments)
        return told.exit_code, " ".join(told.output.split())

    code, said = await told("remove", "2")
    assert code == 1
    assert said.startswith(
        "Generation 2 cannot be removed: FLEET_GENERATION is 2, and only generations before"
    )
    assert (await told("remove", "1"))[0] == 1  # the second has not counted
    async with connected_fleet(changed(settings, generation=2)) as second:
        await second.auditor.audit_all(delay_seconds=0)
        published, counted = await day(second), await documents_of(second, 2)
        code, listed = await told("list", "--json")
        assert code == 0
        assert [(one["generation"], one["layout"], one["current"]) for one in json.loads(listed)] == [
            (1, LAYOUT, False),
            (2, LAYOUT, True),
        ]
        whole = await documents_of(second, 1)
        assert (await told("remove", "1", "--dry-run"))[0] == 0
        assert await documents_of(second, 1) == whole > 60
        code, said = await told("remove", "1")
        assert code == 0, said
        assert f"{whole} documents of view_state and " in said
        assert " of fleet_state deleted" in said
        assert (await documents_of(second, 1), await documents_of(second, 2)) == (0, counted)
        assert await day(second) == published == (2, 60)
        assert [(r.repaired, r.caught_up) for r in await second.auditor.audit_all(delay_seconds=0)] == [
            (0, True)
        ] * 5
    code, listed = await told("list")
    assert (code, listed.count("current")) == (0, 1)


async def documents_of(fleet: Fleet, generation: int) -> int:
    """Return how many documents of view_state belong to a generation."""
    state = fleet.database.get_container_client("view_state")
    rows = state.query_items(
        "SELECT VALUE c.id FROM c WHERE STARTSWITH(c.shard, @generation)",
        parameters=[{"name": "@generation", "value": f"{generation}:"}],
    )
    return len([row async for row in rows])


@pytest.mark.usefixtures("operator")
async def test_an_audit_from_the_beginning_reads_what_was_audited_already(feed: Feed) -> None:
    await feed.write(interaction(), interaction(id="i2"))

    async def documents(*options: str) -> int:
        audited = await asyncio.to_thread(ops, "audit", "run", "--delay", "0", "--json", *options)
        assert audited.exit_code == 0, audited.output
        (source,) = (row for row in json.loads(audited.output) if row["feed"] == "user_interactions")
        return int(source["documents"])

    assert await documents() == 2
    assert await documents() == 0
    assert await documents("--from-beginning") == 2


def test_containers_are_created_once(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CosmosDb", server.connection_string)
    monkeypatch.setenv("COSMOS_DATABASE", f"new-{uuid4().hex[:8]}")
    first = ops("containers", "apply", "--json")
    assert first.exit_code == 0, first.output
    assert {"user_interactions", "fleet_state"} <= set(json.loads(first.output)["created"])
    second = ops("containers", "apply")
    assert "\n0 created, 0 properties changed" in second.output


async def test_what_the_clock_publishes_is_held_back_too_and_comes_whole_afterwards(
    feed: Feed, settings: Settings
) -> None:
    now = SYSTEM_CLOCK.now().isoformat()
    await feed.write(*(interaction(id=f"i{n}", timestamp=now) for n in range(4)))
    await feed.deliver()
    await publish_by_the_clock(feed.fleet)
    assert {generation for _, generation in await clocked(feed.fleet)} == {1}
    async with connected_fleet(changed(settings, generation=2)) as second:
        some = [item async for item in feed.container.query_items_change_feed(start_time="Beginning")][:1]
        await second.ingest.ingest_batch("user_interactions", some)
        await publish_by_the_clock(second)
        assert {generation for _, generation in await clocked(second)} == {1}
        with pytest.raises(CosmosResourceNotFoundError):  # nothing passes for refreshed
            await second.database.get_container_client("fleet_state").read_item("views-2", "refresh")
        await second.auditor.audit_all(delay_seconds=0)
        await publish_by_the_clock(second)
        # A window that has just gone out of sight may stay as the old generation left it.
        assert await clocked(second) - {("system_health", 1)} == {("user_analytics", 2), ("system_health", 2)}


async def publish_by_the_clock(fleet: Fleet) -> None:
    await fleet.scheduled.publish_due()
    await fleet.health.publish_windows()


async def clocked(fleet: Fleet) -> set[tuple[str, int]]:
    """Return which generations the weekly analytics and the health are of."""
    conditions = {"user_analytics": "c.analysis_period = 'weekly'", "system_health": "true"}
    return {
        (name, generation)
        for name, condition in conditions.items()
        async for generation in fleet.database.get_container_client(name).query_items(
            f"SELECT VALUE c.state.generation FROM c WHERE {condition}"  # noqa: S608  constants from above
        )
    }
