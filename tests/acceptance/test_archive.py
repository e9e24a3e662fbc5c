"""Aged documents in real Blob Storage: a host killed on the way, the commands, a storage that is away."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.azurite import ACCOUNT_KEY, connection_string
from local.ports import free_port
from local.seed.traffic import TrafficPlan, writes
from tests.acceptance.commands import operated
from tests.acceptance.fleet import RunningFleet, running_fleet
from tests.archive_check.read_back import is_right
from tests.archive_check.run import run_check
from tests.moved_clock import NOW, moved_clock, set_clock

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


async def test_every_aged_document_is_archived_once_by_hosts_that_are_killed(tmp_path: Path) -> None:
    report = await run_check(tmp_path, 600, kills=1, hosts=2, tell=lambda _: None)
    assert (report.status, report.kills) == ("Completed", 1)
    assert is_right(report.read_back, 600), report.read_back
    assert report.idle["archived"] == report.idle["known"] == 0
    assert report.idle["requests"] <= 24, "a query per feed range"


async def _command(
    fleet: RunningFleet, arguments: tuple[str, ...], code: int, settings: dict[str, str]
) -> Any:
    ended = await operated({**fleet.stack.settings, **settings}, "archive", *arguments, "--json")
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout) if ended.stdout else ended.stderr


async def test_an_operator_archives_verifies_and_restores(tmp_path: Path) -> None:
    with moved_clock():
        async with running_fleet(tmp_path, instances=0) as fleet:

            async def command(*arguments: str, code: int = 0, **settings: str) -> Any:
                return await _command(fleet, arguments, code, settings)

            plan = TrafficPlan(users=4, interactions=40, days=3, seed=5, malformed_share=0)
            await fleet.write(write.document for write in writes(plan))
            documents = await fleet.all_of("user_interactions")
            set_clock(NOW + timedelta(days=2))
            await archives(command, documents)
            await tells_that_the_storage_is_away(command, fleet.stack.blob_port)
            set_clock(NOW + timedelta(days=400))
            assert await fleet.all_of("user_interactions") == []
            await restores(command, fleet, documents)


async def archives(command: Any, documents: list[dict[str, Any]]) -> None:
    def archived(reports: list[dict[str, Any]]) -> int:
        return sum(each["archived"] for each in reports)

    assert archived(await command("run")) == 0, "nothing is due yet"
    planned = await command("run", "--older-than", "1", "--dry-run")
    assert sum(each["due"] for each in planned) == len(documents)
    assert archived(await command("run", "--older-than", "1")) == len(documents)
    assert archived(await command("run", "--older-than", "1")) == 0
    verified = await command("verify", "--all")
    assert (verified["documents"], verified["problems"]) == (len(documents), [])
    await command("verify", "--sample", "5")
    user = documents[0]["user_id"]
    listed = await command("list", "--user", user)
    assert {each["document_id"] for each in listed} == {
        each["id"] for each in documents if each["user_id"] == user
    }
    shown = await command("show", listed[0]["blob"])
    source = next(each for each in documents if each["id"] == shown["document_id"])
    assert shown["document"].items() <= source.items()
    status = {each["container"]: each for each in await command("status")}
    assert status["user_interactions"]["due"] == status["user_interactions"]["expiring"] == 0
    await command("run", "--container", "users", code=1)


async def tells_that_the_storage_is_away(command: Any, port: int) -> None:
    said = await command("run", code=3, ArchiveStorage=connection_string(free_port()))
    assert "The archive storage did not do as asked: archive storage get: no connection" in said
    wrong = connection_string(port).replace(ACCOUNT_KEY, "d3Jvbmc=")
    said = await command("run", code=2, ArchiveStorage=wrong)
    assert "The archive storage refuses the key or identity of the settings" in said
    said = await command("run", code=2, ArchiveStorage="nonsense")
    assert "ArchiveStorage is not a connection string" in said


async def restores(command: Any, fleet: RunningFleet, documents: list[dict[str, Any]]) -> None:
    user = documents[0]["user_id"]
    wanted = {each["id"] for each in documents if each["user_id"] == user}
    planned = await command("restore", "--user", user, "--dry-run")
    assert planned["results"]["restored"] == len(wanted)
    restored = await command("restore", "--user", user)
    assert restored["results"]["restored"] == len(wanted)
    assert {each["id"] for each in await fleet.all_of("user_interactions")} == wanted
    assert (await command("restore", "--user", user))["results"]["live"] == len(wanted)
    assert "Nothing is archived" in await command("restore", "--user", "nobody", code=1)
