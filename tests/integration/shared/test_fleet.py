"""The fleet on a real database: bad documents, replay, prices, and what operators do about them."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from azure.cosmos.aio import CosmosClient
from typer.testing import CliRunner

from ops.__main__ import cli
from shared.containers import DAY
from shared.cosmos.provisioning import apply_catalogue
from shared.errors import PoisonNotFoundError, ReplayError
from shared.fleet.wiring import connected_fleet
from shared.ledger.changes import Verdict
from shared.poison.rows import Status
from shared.pricing.table import parse_price
from shared.settings import Settings
from tests.cosmos_server import ServerProcess
from tests.integration.shared.conftest import Feed, interaction

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "negative": ({"cost_data": {"input_tokens": -5}}, "cost_data.input_tokens", "-5"),
    "fractional": ({"cost_data": {"input_tokens": 1.5}}, "cost_data.input_tokens", "1.5"),
    "text": ({"cost_data": {"output_tokens": "many"}}, "cost_data.output_tokens", "a text of 4 characters"),
    "absurd": ({"cost_data": {"output_tokens": 10**15}}, "cost_data.output_tokens", "1000000000000000"),
    "time": ({"timestamp": "2025-13-01T00:00:00Z"}, "timestamp", "2025-13-01"),
    "rating": ({"user_rating": 7}, "user_rating", "7"),
    "version": ({"schema_version": "9.0"}, "schema_version", "'9.0'"),
    "text_1_9_mb": ({"user_query": "x" * 1_900_000}, "user_query", "1,900,000"),
    "user": ({"user_id": 12}, "user_id", "a number"),
}


async def test_bad_documents_go_to_poison_alone_and_their_neighbours_are_counted(feed: Feed) -> None:
    good = [interaction(id=f"good{n}", user_id=f"u{n % 5}") for n in range(40)]
    bad = [interaction(id=name, user_id="bad") | change for name, (change, _, _) in BAD.items()]
    await feed.write(*good[:20], *bad, *good[20:])
    report = await feed.deliver()
    assert report.counted == 40
    assert len(report.poisoned) == len(BAD)
    assert (await feed.day())["usage_statistics"]["total_interactions"] == 40
    rows = {row["document_id"]: row for row in await feed.poison()}
    for name, (_, field, value) in BAD.items():
        assert rows[name]["error_field"] == field
        assert value in rows[name]["error_message"]
        assert (rows[name]["attempts"], rows[name]["status"]) == (3, "pending")
    await feed.deliver()
    again = {row["document_id"]: row for row in await feed.poison()}
    assert again.keys() == rows.keys()
    assert all(row["attempts"] == 6 for row in again.values())


async def test_a_document_from_before_versions_is_counted_priced_and_can_be_replaced_by_one_of_today(
    feed: Feed,
) -> None:
    usage = {"model_used": "gemini-flash", "input_tokens": 100, "output_tokens": 10, "cost_usd": 0.5}
    data = {"session_id": "s1", "personality_used": "krishna", "response_text": "…", **usage}
    old = {"id": "i1", "user_id": "ann", "document_type": "interaction", "interaction_data": data}
    await feed.write(old | {"timestamp": "2025-08-05T14:39:15.127000"}, interaction(id="i2"))
    report = await feed.deliver()
    assert (report.counted, report.poisoned) == (2, [])
    day = await feed.day()
    assert day["ai_performance"]["total_cost_usd"] == 2 * (100 * 300 + 10 * 2500) / 1e9
    assert day["ai_performance"]["model_performance"].keys() == {"gemini_2_5_flash"}
    await feed.write(interaction(user_rating=4))
    await feed.deliver()
    day = await feed.day()
    assert day["usage_statistics"]["total_interactions"] == 2
    assert day["quality_metrics"]["user_satisfaction_avg"] == 4


async def test_a_document_that_is_no_object_goes_to_poison(feed: Feed) -> None:
    report = await feed.fleet.ingest.ingest_batch("user_interactions", ["not an object", None, interaction()])
    assert report.counted == 1
    assert len(report.poisoned) == 2


async def test_a_corrected_document_is_replayed_as_it_stands_now(feed: Feed) -> None:
    await feed.write(interaction(user_rating=9))
    (row_id,) = (await feed.deliver()).poisoned
    with pytest.raises(ReplayError, match="user_rating is 9"):
        await feed.fleet.replayer.replay(row_id, by="test")
    assert (await feed.fleet.poison.get(row_id))["status"] == "pending"
    await feed.write(interaction(user_rating=4))
    row = await feed.fleet.replayer.replay(row_id, by="test")
    assert (row["status"], row["status_changed_by"], row["requires_manual_review"]) == (
        "replayed",
        "test",
        False,
    )
    report = await feed.deliver()
    assert report.counted <= 1  # the feed's copy knows its sequence number, the live one does not
    day = await feed.day()
    assert day["usage_statistics"]["total_interactions"] == 1
    assert day["quality_metrics"]["user_satisfaction_avg"] == 4


async def test_where_the_document_is_gone_the_stored_copy_is_replayed_only_if_it_is_asked_for(
    feed: Feed,
) -> None:
    await feed.write(interaction(user_rating=9))
    (row_id,) = (await feed.deliver()).poisoned
    await feed.container.delete_item("i1", "ann")
    row = await feed.fleet.poison.get(row_id)
    row["original_document"]["user_rating"] = 5
    await feed.fleet.database.get_container_client("poison_messages").upsert_item(row)
    with pytest.raises(ReplayError, match="no longer exists at its source"):
        await feed.fleet.replayer.replay(row_id, by="test")
    await feed.fleet.replayer.replay(row_id, by="test", stored_copy=True)
    await feed.publish()
    assert (await feed.day())["quality_metrics"]["user_satisfaction_avg"] == 5


async def test_a_new_version_makes_a_settled_row_pending_again(feed: Feed) -> None:
    await feed.write(interaction(user_rating=9))
    (row_id,) = (await feed.deliver()).poisoned
    await feed.fleet.poison.set_status(row_id, Status.DISCARDED, by="test")
    await feed.deliver()
    assert (await feed.fleet.poison.get(row_id))["status"] == "discarded"
    await feed.write(interaction(user_rating=8))
    await feed.deliver()
    row = await feed.fleet.poison.get(row_id)
    assert (row["status"], row["ttl"] > 364 * DAY) == ("pending", True)
    with pytest.raises(PoisonNotFoundError):
        await feed.fleet.poison.get("poison_00000000000000000000000000000000")


async def test_a_price_that_is_added_prices_what_was_counted(feed: Feed) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 100, "model_used": "model-x"}
    await feed.write(interaction(), interaction(id="i2", user_id="bob", cost_data=usage))
    await feed.fleet.repricer.apply()
    await feed.deliver()
    models = (await feed.day())["ai_performance"]
    assert models["unpriced_models"] == {"model-x": 1}
    assert models["model_performance"]["model_x"]["cost_usd"] is None
    tier = {"input_nano_usd_per_token": 7, "output_nano_usd_per_token": 30}
    price = parse_price({"model": "model-x", "effective_from": "2025-01-01", "tiers": [tier]})
    await feed.fleet.prices.put(price)
    report = await feed.fleet.repricer.apply()
    assert (report.changed, report.repriced) == (True, 1)
    assert not (await feed.fleet.repricer.apply()).changed
    await feed.publish()
    models = (await feed.day())["ai_performance"]
    assert models["unpriced_models"] == {}
    assert models["model_performance"]["model_x"]["cost_nano_usd"] == 1000 * 7 + 100 * 30
    assert models["model_performance"]["gemini_2_5_flash"]["cost_nano_usd"] == 100 * 300 + 10 * 2500
    report = await feed.deliver()
    assert report.folded.verdicts[Verdict.SAME] == 2


async def test_versions_of_one_second_without_sequence_numbers_are_told_apart_by_the_live_document(
    feed: Feed,
) -> None:
    await feed.write(interaction(user_rating=1))
    first = await feed.container.read_item("i1", "ann")
    await feed.write(interaction(user_rating=5))
    live = await feed.container.read_item("i1", "ann")
    same_second = {**first, "_ts": live["_ts"]}
    await feed.fleet.ingest.ingest_batch("user_interactions", [live], live=True)
    await feed.fleet.ingest.ingest_batch("user_interactions", [same_second])
    await feed.publish()
    assert (await feed.day())["quality_metrics"]["user_satisfaction_avg"] == 5


async def test_ids_of_every_kind_are_counted(feed: Feed) -> None:
    people = ["ann", "é/ü?#", "x" * 255, "a|b", "202508|ann", "~", " "]
    await feed.write(*(interaction(id="same-id", user_id=person) for person in people))
    report = await feed.deliver()
    assert (report.counted, report.poisoned) == (len(people), [])
    assert (await feed.day())["usage_statistics"]["active_users"] == len(people)
    users = feed.fleet.database.get_container_client("user_analytics")
    published = [item async for item in users.query_items("SELECT * FROM c")]
    assert sorted(item["user_id"] for item in published) == sorted(people)


async def test_the_catalogue_is_applied_once_and_drift_is_reported(
    server: ServerProcess, settings: Settings
) -> None:
    async with CosmosClient.from_connection_string(server.connection_string) as client:
        again = await apply_catalogue(client, settings.cosmos_database)
        assert (again.created, again.drifted) == ([], [])
        database = client.get_database_client(settings.cosmos_database)
        daily = database.get_container_client("daily_metrics")
        await database.replace_container(daily, (await daily.read())["partitionKey"], default_ttl=7)
        (ttl, *_) = (await apply_catalogue(client, settings.cosmos_database)).drifted
    assert (ttl.container, ttl.prop, ttl.found) == ("daily_metrics", "default TTL", 7)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("CosmosDb", settings.cosmos_connection_string or "")
    monkeypatch.setenv("COSMOS_DATABASE", settings.cosmos_database)


@pytest.mark.usefixtures("operator")
async def test_the_operator_s_command_line(feed: Feed) -> None:
    import asyncio

    await feed.write(interaction(user_rating=9), interaction(id="i2"))
    (row_id,) = (await feed.deliver()).poisoned

    async def ops(*arguments: str) -> Any:
        return await asyncio.to_thread(run, *arguments)

    listed = await ops("poison", "list", "--status", "pending", "--json")
    assert listed.exit_code == 0, listed.output
    assert row_id in listed.output
    refused = await ops("poison", "replay", row_id)
    assert refused.exit_code == 1
    assert "user_rating is 9" in refused.output
    assert (await ops("poison", "discard", row_id, "--by", "me")).exit_code == 0
    assert '"status_changed_by": "me"' in (await ops("poison", "show", row_id)).output
    assert (await ops("poison", "show", "poison_nothing")).exit_code == 1
    published = await ops("views", "publish", "daily_metrics", "2025-08-05", "2025-08-06")
    assert "1 published, 0 current, 1 with nothing counted" in published.output
    assert "is not a view" in (await ops("views", "publish", "weekly", "2025-08-05")).output
    audited = await ops("audit", "run", "--delay", "0", "--json")
    assert '"repaired": 0' in audited.output
    price = ("--in", "1", "--out", "1", "--cached", "1", "--from", "2025-01-01")
    put = await ops("prices", "put", "gemini_2_5_flash", *price)
    assert "1 interactions priced again" in put.output
    assert "override" in (await ops("prices", "list", "--json")).output
    removed = await ops("prices", "remove", "models/gemini-2.5-flash", "--from", "2025-01-01")
    assert "1 interactions priced again" in removed.output
    assert "override" not in (await ops("prices", "list", "--json")).output


def test_missing_settings_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CosmosDb", raising=False)
    monkeypatch.delenv("CosmosDb__accountEndpoint", raising=False)
    result = run("poison", "list")
    assert result.exit_code == 2
    assert "CosmosDb" in result.output


async def test_a_fleet_closes_what_it_could_not_open() -> None:
    settings = Settings(CosmosDb="AccountEndpoint=http://127.0.0.1:9/;AccountKey=AAAA;")
    with pytest.raises(Exception, match=r"127\.0\.0\.1|Cannot connect|connect"):
        await connected_fleet(settings).__aenter__()
    gc.collect()  # a connection that is still open would warn here
