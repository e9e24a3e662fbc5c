"""A rehearsed recovery brings everything back, finds what is not, and leaves the database as it was."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from ops import rehearsal
from ops.rehearsal import COMPARED, NOT_RESTORED, SUFFIX, Rehearsal, RehearsalReport
from shared.containers import CATALOGUE
from shared.errors import RefusedError
from shared.fleet.wiring import Fleet
from shared.settings import Settings
from tests.integration.shared.conftest import Feed, interaction
from tests.integration.shared.test_migrate import count_and_publish, documents, everything


@pytest.fixture
async def counted(fleet: Fleet) -> Fleet:
    """Return a fleet that has counted and published documents of every source, some of them in poison."""
    for name, listed in documents().items():
        for document in listed[:30]:
            await fleet.database.get_container_client(name).upsert_item(document)
    await fleet.database.get_container_client("user_interactions").upsert_item(
        interaction(id="bad", user_rating=9)
    )
    await fleet.register.write_tombstone("erased-person")
    await fleet.auditor.audit_all(delay_seconds=0)
    await count_and_publish(fleet)
    return fleet


async def rehearse(settings: Settings, folder: Path) -> RehearsalReport:
    return await Rehearsal(settings, folder, user_agent="tests").run(lambda *_: None)


async def contents(fleet: Fleet) -> dict[str, Any]:
    names = [each.name for each in CATALOGUE if each.name not in ("system_health", *NOT_RESTORED)]
    return {name: sorted(await everything(fleet, name), key=lambda item: item["_rid"]) for name in names}


async def test_everything_is_recovered_after_a_killed_rehearsal_and_the_database_is_as_before(
    counted: Fleet, settings: Settings, tmp_path: Path
) -> None:
    async with CosmosClient.from_connection_string(settings.cosmos_connection_string or "") as client:
        left = await client.create_database(settings.cosmos_database + SUFFIX)
        await left.create_container("user_interactions", {"paths": ["/pk"], "kind": "Hash"})
    await counted.scheduled.publish_everything()
    before = await contents(counted)
    report = await rehearse(settings, tmp_path)
    assert report.recovered, (report.fields, report.views, report.containers)
    assert {name: each.exported for name, each in report.containers.items() if name in before} == {
        name: len(items) - (name == "fleet_state") for name, items in before.items()
    }
    assert report.tombstones == 1
    for name in COMPARED:
        view = report.views[name]
        assert view.before == view.after == view.recounted
        assert view.after or name == "content_analytics" or name == "incidents_by_content"
    assert set(report.seconds) == set(rehearsal.STEPS)
    assert 0 < report.seconds["restore"] < report.rto_seconds
    after = await contents(counted)
    unchanged = set(before) - {"fleet_state", *COMPARED}  # the refresh may write these
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    async with CosmosClient.from_connection_string(settings.cosmos_connection_string or "") as client:
        with pytest.raises(CosmosResourceNotFoundError):
            await client.get_database_client(settings.cosmos_database + SUFFIX).read()


async def test_a_document_that_is_not_restored_and_a_figure_that_differs_are_found(
    counted: Fleet, settings: Settings, tmp_path: Path
) -> None:
    original = rehearsal.restore_container

    async def losing(target: Any, described: Any, file: Path, now: float) -> int:
        expired = await original(target, described, file, now)
        if described.name == "user_interactions":
            await target.delete_item("i7", "u7")
        return expired

    with patch.object(rehearsal, "restore_container", losing):
        report = await rehearse(settings, tmp_path)
    assert not report.recovered
    assert [name for name, each in report.containers.items() if not each.equal] == ["user_interactions"]
    assert report.views["daily_metrics"].different == 1
    assert "daily_metrics.usage_statistics" in report.fields
    assert not any("u7" in field for field in report.fields)


async def test_a_changed_document_is_found_where_another_one_has_expired(
    counted: Fleet, settings: Settings, tmp_path: Path
) -> None:
    await Feed(counted).write(interaction(id="ending", user_id="u7", ttl=5_000))
    original, changes = rehearsal.restore_container, [{}, {"user_rating": 1}]

    async def later(target: Any, described: Any, file: Path, now: float) -> Any:
        if described.name != "user_interactions":
            return await original(target, described, file, now)
        expired = await original(target, described, file, now + 10_000)
        document = await target.read_item("i7", "u7")
        await target.upsert_item({**document, **changes.pop(0)})
        return expired

    for equal in (True, False):
        with patch.object(rehearsal, "restore_container", later):
            found = (await rehearse(settings, tmp_path)).containers["user_interactions"]
        assert (found.exported - found.restored, found.expired) == (1, 1)
        assert found.equal is equal


async def test_a_terminated_rehearsal_leaves_no_export_and_no_database(
    counted: Fleet, settings: Settings, tmp_path: Path
) -> None:
    connection = settings.cosmos_connection_string or ""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops", "recovery", "rehearse"),
        env=os.environ
        | {"CosmosDb": connection, "COSMOS_DATABASE": settings.cosmos_database, "TMPDIR": str(tmp_path)},
    )
    async with asyncio.timeout(60):
        while not list(tmp_path.glob("rehearsal-*/view_state*")):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.02)
        process.terminate()
        assert await process.wait() == 130
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240
    async with CosmosClient.from_connection_string(connection) as client:
        with pytest.raises(CosmosResourceNotFoundError):
            await client.get_database_client(settings.cosmos_database + SUFFIX).read()


async def test_what_was_written_after_the_export_is_counted_as_lost(
    counted: Fleet, settings: Settings, tmp_path: Path
) -> None:
    original = Rehearsal._export

    async def then_write(self: Rehearsal, database: Any) -> None:
        await original(self, database)
        await asyncio.sleep(1.1)
        await Feed(counted).write(interaction(id="late"), interaction(id="later"))

    with patch.object(Rehearsal, "_export", then_write):
        report = await rehearse(settings, tmp_path)
    assert (report.lost, report.recovered) == (2, True)
    assert report.rpo_seconds > 1.1


@pytest.mark.parametrize("how", ["another service", "another machine"])
async def test_no_other_account_than_the_local_server_is_accepted(
    settings: Settings, tmp_path: Path, how: str
) -> None:
    if how == "another service":
        changed = patch.object(rehearsal, "LOCAL_SERVICE", "version=2.14.0.0")
    else:
        changed = patch.object(rehearsal, "endpoint_of", lambda _: "https://vimarsh.documents.azure.com:443/")
    with changed, pytest.raises(RefusedError, match="on the local server only"):
        await rehearse(settings, tmp_path)
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240
