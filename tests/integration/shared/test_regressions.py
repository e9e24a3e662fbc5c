"""Documents of production that were once counted, priced or lost wrongly, with the right figures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from ops.__main__ import cli
from shared.fleet.wiring import Fleet
from shared.ingest.sources import SOURCES
from shared.settings import Settings
from tests.integration.shared.conftest import Feed, interaction

Document = dict[str, Any]

CITED = {"source": "bhagavad_gita", "chapter": "2", "verse": "47", "relevance_score": 0.9}
STUDY = "Gita, Study Edition"


def asked(number: int, at: str = "2025-08-05T10:00:00Z", **fields: Any) -> Document:
    return interaction(id=f"i{number}", user_id="person-1", timestamp=at, **fields)


class Case(NamedTuple):
    """Documents, by container, and what they must come to: the value of a field of a document of a view."""

    documents: Mapping[str, list[Document]]
    container: str
    id: str
    field: str
    value: object


ACCOUNT = {
    "id": "person-1", "partition_key": "person-1", "auth_id": "x", "document_type": "user_profile",
    "account_status": "active", "created_at": "2025-07-01T00:00:00.000001", "data_retention_consent": True,
    "analytics_consent": False, "last_consent_update": "2025-07-20T08:20:21",
}  # fmt: skip
VECTOR = {
    "id": "krishna_gita__2_14_full", "partition_key": f"krishna::{STUDY}", "personality_id": "krishna",
    "source": STUDY, "chapter": 2, "verse": "Gita 2.14",
}  # fmt: skip
STUDIED = {"source": STUDY, "chapter": 2, "verse": "Gita 2.14", "relevance_score": 0.9}
WEEK = [f"2025-08-0{day}T09:00:00Z" for day in (4, 5, 6)]

CASES = {
    "an account without user_id refuses": Case(
        {"users": [ACCOUNT], "user_interactions": [asked(1)]},
        "user_analytics", "user_analytics_person-1_202508", "user_id", None,
    ),
    "an account without user_id agrees": Case(
        {"users": [ACCOUNT | {"analytics_consent": True}], "user_interactions": [asked(1)]},
        "user_analytics", "user_analytics_person-1_202508", "user_id", "person-1",
    ),
    "a person on three days of a week is one person": Case(
        {"user_interactions": [asked(n, day, foundational_texts_used=[CITED]) for n, day in enumerate(WEEK)]},
        "content_popularity", "content_popularity_weekly_2025W32", "top_foundational_texts.0.unique_users", 1,
    ),
    "a passage is found by the names that its document and the answer give it": Case(
        {"personality_vectors": [VECTOR], "user_interactions": [asked(1, foundational_texts_used=[STUDIED])]},
        "personality_vectors", VECTOR["id"], "usage_metrics.citation_count", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_documents_come_to_the_right_figure(feed: Feed, case: Case) -> None:
    await deliver(feed.fleet, case.documents)
    await feed.publish()
    await feed.fleet.scheduled.publish_due()
    published = feed.fleet.database.get_container_client(case.container)
    found = {item["id"]: item async for item in published.query_items("SELECT * FROM c")}
    assert value_at(found.get(case.id), case.field) == case.value


async def deliver(fleet: Fleet, documents: Mapping[str, list[Document]]) -> None:
    for name, written in documents.items():
        container = fleet.database.get_container_client(name)
        for document in written:
            await container.upsert_item(document)
        if name in SOURCES:
            stored = [item async for item in container.query_items_change_feed(start_time="Beginning")]
            await fleet.ingest.ingest_batch(name, stored)


def value_at(document: object, path: str) -> object:
    for step in path.split("."):
        if document is None:
            return None
        document = document[int(step)] if isinstance(document, list) else document[step]  # type: ignore[index]
    return document


async def test_one_person_who_cites_everything_does_not_stop_the_feed_of_others(feed: Feed) -> None:
    def heavy(first: int, last: int) -> Iterator[Document]:
        for i in range(first, last):
            cited = [{**CITED, "chapter": f"{i}", "verse": f"{j}"} for j in range(50)]
            document = interaction(id=f"h-{i}", user_id="heavy", foundational_texts_used=cited)
            yield document | {"_ts": 1_754_500_000, "_etag": f"{i}"}

    await feed.fleet.ingest.ingest_batch("user_interactions", list(heavy(0, 396)))
    quiet = [
        interaction(id=f"q-{n}", user_id=f"quiet-{n}", timestamp="2025-08-06T09:00:00Z")
        | {"_ts": 1_754_500_000, "_etag": f"{n}"}
        for n in range(40)
    ]
    report = await feed.fleet.ingest.ingest_batch("user_interactions", [*heavy(396, 401), *quiet])
    assert report.counted + len(report.poisoned) == 45
    await feed.publish()
    assert (await feed.day("2025-08-06"))["usage_statistics"]["total_interactions"] == 40
    assert (await feed.day("2025-08-05"))["usage_statistics"]["total_interactions"] >= 396


async def test_a_price_for_a_model_with_tiers_covers_every_tier_or_is_refused(
    feed: Feed, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CosmosDb", settings.cosmos_connection_string or "")
    monkeypatch.setenv("COSMOS_DATABASE", settings.cosmos_database)
    usage = {"input_tokens": 250_000, "output_tokens": 1_000, "model_used": "gemini-2.5-pro"}
    await deliver(feed.fleet, {"user_interactions": [asked(1, cost_data=usage)]})
    flat = ("gemini-2.5-pro", "--in", "1250", "--out", "10000", "--from", "2025-06-01")
    put = await asyncio.to_thread(CliRunner().invoke, cli, ["prices", "put", *flat])
    assert put.exit_code != 0
    assert "give a price for each of these lengths" in put.output
    await feed.publish()
    assert (await feed.day())["ai_performance"]["total_cost_usd"] == 0.64


@pytest.mark.parametrize("document_id", ["po/ison", "po\\ison", "po?ison", "po#ison", ".."])
async def test_a_document_whose_id_no_url_can_address_is_counted_and_replayed(
    feed: Feed, document_id: str
) -> None:
    async def write(**change: Any) -> None:
        document = interaction(id=document_id, **change)  # the SDK writes such ids in batches only
        await feed.container.execute_item_batch([("upsert", (document,))], partition_key="ann")

    await write(user_rating=9)
    (row_id,) = (await feed.deliver()).poisoned
    await write(user_rating=4)
    await feed.fleet.replayer.replay(row_id, by="me")
    await feed.publish()
    assert (await feed.day())["quality_metrics"]["user_satisfaction_avg"] == 4


async def test_an_account_without_user_id_is_replayed_from_its_source(feed: Feed) -> None:
    unreadable = ACCOUNT | {"analytics_consent": "no"}
    await deliver(feed.fleet, {"user_interactions": [asked(1)], "users": [unreadable]})
    (row,) = await feed.poison()
    users = feed.fleet.database.get_container_client("users")
    await users.upsert_item(ACCOUNT | {"analytics_consent": True})
    await feed.fleet.replayer.replay(row["id"], by="me")
    await feed.publish()
    months = feed.fleet.database.get_container_client("user_analytics")
    assert {m["user_id"] async for m in months.query_items("SELECT * FROM c")} == {"person-1"}
