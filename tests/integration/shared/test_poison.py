"""Poison on a real database: rows of the largest documents, and what operators do about rows."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import AioHttpTransport
from typer.testing import CliRunner

from ops.__main__ import cli
from shared.containers import DAY
from shared.errors import ReplayError
from shared.fleet.wiring import Fleet
from shared.settings import Settings
from tests.integration.shared.conftest import Feed, interaction

LARGEST = 2 * 1024 * 1024 - 4096
"""Bytes of a document that the service just about takes."""


def filled(name: str, text: str) -> dict[str, Any]:
    """Return a bad document that is as large as can be."""
    document = interaction(id=name, user_rating=9, notes=[])
    each = len(json.dumps(text, ensure_ascii=False).encode()) + 1
    room = LARGEST - len(json.dumps(document).encode())
    return document | {"notes": [text] * (room // each)}


async def test_the_largest_documents_go_to_poison_and_hold_up_nobody(feed: Feed) -> None:
    short, foreign = filled("short texts", "y" * 900), filled("letters of three bytes", "धर्म" * 70)
    await feed.write(interaction(), short, foreign)
    report = await feed.deliver()
    assert (report.counted, len(report.poisoned)) == (1, 2)
    for row in [await feed.fleet.poison.get(row_id) for row_id in report.poisoned]:
        assert (row["original_truncated"], "*" in row["original_redacted"]) == (False, True)
        assert row["original_document"]["user_rating"] == 9
    audited = await feed.fleet.auditor.audit_all(delay_seconds=0)
    assert all(report.caught_up for report in audited)


async def test_rows_of_an_earlier_release_are_rewritten_once(feed: Feed) -> None:
    await feed.write(*(interaction(id=f"i{n}", user_rating=9) for n in range(3)))
    rows = feed.fleet.database.get_container_client("poison_messages")
    for row_id in (await feed.deliver()).poisoned[:2]:
        row = await feed.fleet.poison.get(row_id)
        old = {name: value for name, value in row.items() if name not in ("redaction", "original_redacted")}
        old |= {"ttl": -1, "error_message": "ann@example.org", "trace": "ann@example.org"}
        await rows.upsert_item(
            old | {"original_document": row["original_document"] | {"email": "ann@example.org"}}
        )
    assert "ann@" not in repr([row async for row in feed.fleet.poison.list()])
    assert [await feed.fleet.poison.redact() for _ in range(2)] == [2, 0]
    stored = [row async for row in rows.query_items("SELECT * FROM c", partition_key="poison_messages")]
    assert "ann@" not in repr(stored)
    assert all(row["ttl"] > 364 * DAY for row in stored)


async def test_items_are_sent_as_they_are_measured(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    send = AioHttpTransport.send

    async def listening(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        sent.append(request.data)
        return await send(self, request, **options)

    monkeypatch.setattr(AioHttpTransport, "send", listening)
    container = fleet.database.get_container_client("user_interactions")
    await container.upsert_item(interaction(user_query="धर्म"))
    assert any("धर्म".encode() in body for body in sent if isinstance(body, bytes))


async def test_a_copy_older_than_what_was_counted_is_not_called_replayed(feed: Feed) -> None:
    await feed.write(interaction(user_rating=9))
    (row_id,) = (await feed.deliver()).poisoned
    await feed.write(interaction(user_rating=4))
    await feed.deliver()
    await feed.container.delete_item("i1", "ann")
    row = await feed.fleet.poison.get(row_id)
    row["original_document"]["user_rating"] = 5
    await feed.fleet.database.get_container_client("poison_messages").upsert_item(row)
    with pytest.raises(ReplayError, match="a newer version of the document was counted"):
        await feed.fleet.replayer.replay(row_id, by="test", stored_copy=True)
    assert (await feed.fleet.poison.get(row_id))["status"] == "pending"


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("CosmosDb", settings.cosmos_connection_string or "")
    monkeypatch.setenv("COSMOS_DATABASE", settings.cosmos_database)


async def poison(*arguments: str, code: int = 0) -> str:
    """Run a command of the poison group as an operator does; return what it prints."""
    ended = await asyncio.to_thread(CliRunner().invoke, cli, ["poison", *arguments])
    assert ended.exit_code == code, ended.output
    return str(ended.output)


def pending(groups: str) -> dict[str | None, int]:
    return {group["field"]: group["count"] for group in json.loads(groups)}


@pytest.mark.usefixtures("operator")
async def test_an_operator_decides_groups_of_rows_with_one_command(feed: Feed) -> None:
    ratings = [interaction(id=f"rating-{number}", user_rating=9) for number in range(70)]
    times = [interaction(id=f"time-{number}", timestamp="soon") for number in range(5)]
    await feed.write(*ratings, *times)
    assert len((await feed.deliver()).poisoned) == 75

    assert pending(await poison("groups", "--json")) == {"user_rating": 70, "timestamp": 5}
    assert pending(await poison("groups", "--json", "--field", "timestamp")) == {"timestamp": 5}
    assert pending(await poison("groups", "--json", "--source", "user_sessions")) == {}
    assert pending(await poison("groups", "--json", "--since", "2125-01-01")) == {}
    assert "75 rows pending." in await poison("groups")
    assert "10 of 75 rows, the latest failures." in await poison("list", "--limit", "10")

    dry = await poison("discard", "--field", "timestamp", "--dry-run")
    assert "5 rows would be discarded." in dry
    assert pending(await poison("groups", "--json"))["timestamp"] == 5
    assert "5 rows discarded." in await poison("discard", "--field", "timestamp", "--by", "me")

    repaired = [rating | {"user_rating": 4} for rating in ratings[:68]]
    await feed.write(*repaired)
    answer = json.loads(await poison("replay", "--error", "DocumentError", "--json", code=1))
    assert (len(answer["selected"]), len(answer["decided"])) == (70, 68)
    (refusal,) = answer["refused"]
    assert "failed again: user_rating is 9" in refusal["why"]
    await feed.publish()
    assert (await feed.day())["usage_statistics"]["total_interactions"] == 68

    first, second = refusal["ids"]
    short = first.removeprefix("poison_")[:12]
    assert f"{first} resolved" in await poison("resolve", short)
    assert "begin with 'poison_'" in await poison("show", "poison_", code=1)
    assert "2 rows resolved." in await poison("resolve", first, second[:-3], first)
    assert pending(await poison("groups", "--json")) == {}
    assert "No poison documents are pending." in await poison("groups")
    assert "0 rows replayed." in await poison("replay", "--all")


@pytest.mark.usefixtures("operator")
async def test_rows_are_named_or_selected_and_not_both(fleet: Fleet) -> None:
    for arguments in ([], ["poison_1", "--all"], ["poison_1", "--field", "user_rating"]):
        assert "not both" in " ".join((await poison("discard", *arguments, code=2)).replace("│", " ").split())
    assert "There is no poison document 'poison_1'." in await poison("discard", "poison_1", code=1)


async def fleet_command(*arguments: str, code: int = 0, **options: Any) -> str:
    ended = await asyncio.to_thread(CliRunner().invoke, cli, list(arguments), **options)
    assert ended.exit_code == code, ended.output
    return str(ended.stdout if code == 0 else ended.output)


@pytest.mark.usefixtures("operator")
async def test_an_operator_repairs_a_document_at_its_source(feed: Feed, tmp_path: Path) -> None:
    await feed.write(interaction(user_rating=9, user_query="\x1b[2J\u202e"))
    (row_id,) = (await feed.deliver()).poisoned
    printed = await fleet_command("documents", "get", "--poison", row_id[:20])
    assert "\x1b" not in printed
    file = tmp_path / "document.json"
    file.write_text(printed.replace('"user_rating": 9', '"user_rating": 9.5'), encoding="utf-8")
    refused = await fleet_command("documents", "put", "user_interactions", str(file), code=1)
    assert "could not count this version: user_rating is 9.5" in refused
    file.write_text(printed.replace('"user_rating": 9', '"user_rating": 4'), encoding="utf-8")
    done = await fleet_command("documents", "put", "user_interactions", str(file), "--by", "ann")
    assert done.splitlines() == ["i1 replaced.", f"{row_id} replayed"]
    assert (await feed.container.read_item("i1", "ann"))["user_query"] == "\x1b[2J\u202e"
    again = await fleet_command("documents", "put", "user_interactions", str(file), code=1)
    assert "was changed after it was read" in " ".join(again.split())
    fresh = await fleet_command("documents", "get", "user_interactions", "i1", "ann")
    written = await fleet_command("documents", "put", "user_interactions", "-", "--json", input=fresh)
    assert json.loads(written)["replayed"] is None
    await feed.deliver()
    day = json.loads(await fleet_command("metrics", "day", "2025-08-05", "--json"))
    assert day["usage_statistics"]["total_interactions"] == 1
    shown = json.loads(await fleet_command("views", "show", "daily_metrics", day["id"], "--json"))
    assert shown["usage_statistics"] == day["usage_statistics"]


@pytest.mark.usefixtures("operator")
async def test_the_cost_of_a_day_is_one_command(feed: Feed) -> None:
    await feed.write(interaction(), interaction(id="i2", user_rating=4))
    await feed.deliver()
    printed = await fleet_command("metrics", "day", "2025-08-05")
    cost = (await feed.day())["ai_performance"]["total_cost_usd"]
    assert cost
    assert f"{cost:,.6f}" in printed
    assert "user_satisfaction_avg" in printed
    assert "Nothing is published for 2025-08-06" in await fleet_command(
        "metrics", "day", "2025-08-06", code=1
    )
    assert "Nothing is published for" in await fleet_command("metrics", "day", code=1)
    assert "is not a day" in await fleet_command("metrics", "day", "soon", code=2)


@pytest.mark.usefixtures("operator")
async def test_a_view_that_does_not_exist_is_said_so(fleet: Fleet) -> None:
    assert "holds no view; these do: " in await fleet_command("views", "show", "users", "ann", code=1)
    assert "has no document 'x'" in await fleet_command("views", "show", "daily_metrics", "x", code=1)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("content", "why"),
    [("{", "is not JSON"), ("[]", "is not a JSON object"), ('{"a": NaN}', "is not JSON"),
     ("[" * 100_000, "is not JSON"), ("\udcff", "is not JSON"),
     ("x" * (2 * 1024 * 1024 + 1), "more than 2,097,152 bytes")],
)  # fmt: skip
async def test_a_file_that_holds_no_document_is_wrong_usage(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "document.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    ended = await fleet_command("documents", "put", "user_interactions", str(file), code=2)
    assert why in " ".join(ended.replace("│", " ").split())
    missing = await fleet_command("documents", "put", "user_interactions", str(tmp_path / "no"), code=2)
    assert "cannot be read" in " ".join(missing.replace("│", " ").split())
