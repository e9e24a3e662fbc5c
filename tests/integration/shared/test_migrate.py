"""A migration on a real database, through the command line and the real fold: no figure changes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from shared.containers import VIEW_CONTAINERS
from shared.documents.versions import HISTORIES
from shared.fleet.wiring import Fleet
from shared.ingest.sources import SOURCES
from shared.settings import Settings
from tests.integration.shared.conftest import interaction
from tests.unit.shared.documents.test_versions import FLAT, FLAT_SESSION, NESTED, NESTED_SESSION, OLD_USER

Document = dict[str, Any]

TIME = "2025-08-05T07:49:41.203884"
PEOPLE = 9


def documents() -> dict[str, list[Document]]:
    """Return documents of every source, most of them from before there were versions."""
    of: dict[str, list[Document]] = {name: [] for name in SOURCES}
    for n in range(120):
        old = (NESTED, FLAT, interaction())[n % 3]
        of["user_interactions"].append(own(old) | {"id": f"i{n}", "user_id": f"u{n % PEOPLE}"})
    of["user_interactions"].append(own(FLAT) | {"id": "bad", "user_id": "u1", "feedback_rating": 9})
    for n in range(20):
        old = (NESTED_SESSION, FLAT_SESSION)[n % 2]
        of["user_sessions"].append(own(old) | {"id": f"s{n}", "user_id": f"u{n % PEOPLE}"})
        of["abuse_incidents"].append(
            {"id": f"a{n}", "user_id": f"u{n % PEOPLE}", "created_at": TIME, "interaction_id": f"i{n}"}
        )
    for n in range(PEOPLE):
        of["users"].append(own(OLD_USER) | {"id": f"u{n}", "user_id": f"u{n}", "analytics_consent": n != 3})
    return of


def own(document: Document) -> Document:
    return {name: value for name, value in document.items() if not name.startswith("_")}


async def everything(fleet: Fleet, name: str) -> list[Document]:
    container = fleet.database.get_container_client(name)
    return [item async for item in container.query_items_change_feed(start_time="Beginning")]


async def count_and_publish(fleet: Fleet) -> None:
    for source in SOURCES:
        await fleet.ingest.ingest_batch(source, await everything(fleet, source))
    await fleet.publisher.publish(await everything(fleet, "view_state"))
    await fleet.scheduled.publish_everything()


async def views(fleet: Fleet) -> dict[str, Document]:
    """Return what is published, without what only says when."""
    return {
        f"{name} {item['id']}": {
            field: value
            for field, value in item.items()
            if not field.startswith("_") and field not in ("state", "last_updated", "calculated_at")
        }
        for name in VIEW_CONTAINERS
        if name != "system_health"
        for item in await everything(fleet, name)
    }


async def migrate(
    settings: Settings, *arguments: str, kill_when: Callable[[], Awaitable[bool]] | None = None
) -> tuple[int, str]:
    """Run ``fleet schema migrate`` as a process of its own; kill it with -9 as soon as something is true."""
    environment = os.environ | {
        "CosmosDb": settings.cosmos_connection_string or "",
        "COSMOS_DATABASE": settings.cosmos_database,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops", "schema", "migrate", *arguments, "--json",
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        while kill_when is not None and not await kill_when():
            assert process.returncode is None, "it ended first"
            await asyncio.sleep(0.02)
    finally:
        if kill_when is not None:
            process.kill()
        output, errors = await process.communicate()
    assert process.returncode in ((0, 1) if kill_when is None else (-signal.SIGKILL,)), errors.decode()
    return process.returncode or 0, output.decode()


async def test_no_figure_changes_whatever_is_killed(fleet: Fleet, settings: Settings) -> None:
    for name, listed in documents().items():
        for document in listed:
            await fleet.database.get_container_client(name).upsert_item(document)
    await count_and_publish(fleet)
    before = await views(fleet)
    assert any(key.startswith("user_analytics") for key in before)
    ends = {item["id"]: item["_ts"] + 365 * 86_400 for item in await everything(fleet, "user_interactions")}

    interactions = ("user_interactions", "--to", "1.1")

    async def rewritten() -> int:
        stored = await everything(fleet, "user_interactions")
        return sum(item.get("schema_version") == "1.1" for item in stored)

    for _ in range(3):  # documents of about 12 request units each: some 12 of them in a second
        enough = await rewritten() + 20

        async def is_enough(number: int = enough) -> bool:
            return await rewritten() >= number

        await migrate(settings, *interactions, "--ru-per-second", "150", kill_when=is_enough)
    code, output = await migrate(settings, *interactions, "--ru-per-second", "100000")
    assert code == 1  # one document cannot be read
    assert json.loads(output)["left"] == {"user_rating": 1}
    for name, to in (("user_sessions", "1.0"), ("users", "1.0"), ("abuse_incidents", "1.0")):
        code, output = await migrate(settings, name, "--to", to, "--ru-per-second", "100000")
        assert (code, json.loads(output)["finished"]) == (0, True)

    for name in SOURCES:
        history = HISTORIES[SOURCES[name].document_type]
        stored = {item["id"]: history.version_of(item) for item in await everything(fleet, name)}
        assert {i for i, version in stored.items() if version != history.newest} <= {"bad"}
    for item in await everything(fleet, "user_interactions"):
        if "ttl" in item:
            assert abs(item["_ts"] + item["ttl"] - ends[item["id"]]) <= 2
    await count_and_publish(fleet)
    assert await views(fleet) == before
    code, output = await migrate(settings, *interactions, "--dry-run", "--ru-per-second", "100000")
    assert (code, json.loads(output)["versions"]) == (1, {"1.1": 120, "0.2": 1})
