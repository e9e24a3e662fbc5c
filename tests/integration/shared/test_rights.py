"""Each function works with its own rights and no others; and no right is there that nothing uses.

The whole function app runs on the real database server through the real SDK, each function with a token of
its own. The server refuses what the token has no right to, as the service does.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import azure.functions as func
import pytest

from local.host.lease_store import LeaseStore
from local.host.leases import FeedRange
from local.seed.database import database_writes
from local.seed.traffic import TrafficPlan
from local.seed.writer import write_traffic
from shared.builds import store
from shared.containers import container
from shared.fleet import archive as fleet_archive
from shared.fleet import people as fleet_people
from shared.maintenance import migrate as migrating
from shared.pricing.price_book import PriceBook
from shared.pricing.table import ModelPrice, PriceTier
from shared.rights import (
    BEGIN,
    FOLD,
    FUNCTIONS,
    LEASES,
    READ_METADATA,
    Action,
    Rights,
    Work,
    granted,
    rights_of,
)
from shared.views import engagement_summary
from tests.cosmos_in_process import DATABASE
from tests.fake_blobs import FakeBlobs
from tests.fleet_in_process import FUNCTIONS as APP
from tests.fleet_in_process import MODULES, FleetInProcess, fleet_in_process

START = datetime(2025, 9, 1, 9, tzinfo=UTC)
"""The morning after the last day of the sample traffic."""

SAMPLES = json.loads(
    (Path(__file__).parents[2] / "data" / "specification_documents.json").read_text(encoding="utf-8")
)

PLAN = TrafficPlan(users=4, interactions=40, days=6, seed=3, malformed_share=0.1)

FEEDS = (
    "fold_users", "fold_user_interactions", "fold_user_sessions", "fold_abuse_incidents", "publish_views",
    "refresh_health_with_days",
)  # fmt: skip
TIMERS = ("audit_feeds", "replay_repaired", "apply_prices", "refresh_health", "refresh_views")

USED_BY_THE_PLATFORM = {
    *((LEASES.name, "change_feed_leases", action) for action in Action),
    *((f"feed of {each.feed}", each.feed, Action.FEED) for each in FUNCTIONS.values() if each.feed),
}
"""Rights of the platform's own trigger, which does not run here."""

Tokens = dict[str, dict[str, set[str]]]


def rights(function: str) -> Rights:
    of = rights_of(function, MODULES[function])
    assert of is not None, f"{function} has no rights: add it to shared/rights.py"
    return of


def tokens() -> Tokens:
    """Return the rights of each function: the token of a function is its name."""
    return {
        name: {
            "": {READ_METADATA},
            **{place: {*actions} for place, actions in granted([rights(name)]).items()},
        }
        for name in APP
    }


def unused(used: Tokens) -> set[tuple[str, str, str]]:
    """Return the rights, by kind of work, that no function with such work used."""
    return {
        (work.name, place, action.name)
        for name in APP
        for work in rights(name).works()
        for place, actions in work.grants.items()
        for action in actions
        if (work.name, place, action) not in USED_BY_THE_PLATFORM
        and not any(
            action in of.get(place, ()) for other, of in used.items() if work in rights(other).works()
        )
    }


class Days:
    """Some days of a fleet: documents, corrections, refusals, incidents, poison and repairs."""

    def __init__(self, here: FleetInProcess) -> None:
        self.here = here

    def container(self, name: str) -> Any:
        return self.here.database.get_container_client(name)

    async def run(self) -> None:
        await self.here.invoke("health", req=request("GET", "health"))
        await self.here.invoke("ready", req=request("GET", "ready"))
        await write_traffic(self.here.database, database_writes(PLAN))
        await self.ask_now("first")
        await self.work()
        await self.ask_now("second")
        await self.work()
        await self.pass_by(days=1, hours=1)
        await self.correct()
        await self.refuse()
        await self.report_an_incident()
        await self.change_a_price()
        await self.work()
        await self.poison_and_repair()
        with (
            patch.object(store, "parts_for", lambda _: 2),  # as of a day with very many passages
            patch.object(engagement_summary, "MIN_PEOPLE", 1),  # as of tiers of many people
        ):
            for _ in range(2):
                await self.pass_by(days=1, hours=1)
                await self.correct()
                await self.work()
            await self.pass_by(hours=2)
            await self.correct()
            await self.work()
        await self.operate()
        await self.migrate()
        await self.archive()
        await self.erase()

    async def pass_by(self, **time: int) -> None:
        self.here.now += timedelta(**time)

    async def work(self) -> None:
        """Let every feed and timer function run once, and what they caused once more."""
        for _ in range(2):
            for name in FEEDS:
                await self.here.feed(name)
        for name in TIMERS:
            await self.here.invoke(name, timer=None)

    async def interactions(self) -> list[dict[str, Any]]:
        return [item async for item in self.container("user_interactions").read_all_items()]

    async def cited_interaction(self) -> dict[str, Any]:
        return next(
            each
            for each in await self.interactions()
            if each.get("foundational_texts_used") and each.get("user_id")
        )

    async def ask_now(self, document_id: str) -> None:
        """Write an interaction of this minute, which the health of the last minutes counts."""
        document = await self.cited_interaction()
        now = (self.here.now - timedelta(minutes=1)).isoformat()
        await self.container("user_interactions").create_item(
            {**document, "id": document_id, "timestamp": now}
        )

    async def correct(self) -> None:
        for number, document in enumerate(await self.interactions()):
            document["user_rating"] = (number + self.here.now.hour) % 5 + 1
            await self.container("user_interactions").replace_item(document["id"], document)

    async def refuse(self) -> None:
        accounts = [item async for item in self.container("users").read_all_items()]
        for account in accounts[:3]:
            consent = account["privacy_settings"]
            consent["analytics_consent"] = not consent["analytics_consent"]
            await self.container("users").replace_item(account["id"], account)

    async def report_an_incident(self) -> None:
        about = await self.cited_interaction()
        incident = SAMPLES["abuse_incident"] | {
            "user_id": about["user_id"],
            "interaction_id": about["interaction_id"],
            "created_at": about["timestamp"],
        }
        first = await self.container("abuse_incidents").create_item(incident)
        await self.container("abuse_incidents").replace_item(incident["id"], incident | {"severity": "high"})
        self.here.now += timedelta(minutes=1)
        await self.here.feed("fold_abuse_incidents")
        late = func.DocumentList([func.Document.from_dict(dict(first))])
        await self.here.invoke("fold_abuse_incidents", documents=late)

    async def change_a_price(self) -> None:
        """Correct the price of a model that was used, as an operator does, with the account's key."""
        model = (await self.cited_interaction())["cost_data"]["model_used"]
        tier = PriceTier(input_nano_usd_per_token=7, output_nano_usd_per_token=9, cached_nano_usd_per_token=1)
        price = ModelPrice(model=model, effective_from=datetime(2025, 8, 20, tzinfo=UTC), tiers=(tier,))
        await PriceBook(self.container("fleet_state")).put(price)
        await self.here.invoke("apply_prices", timer=None)

    async def poison_and_repair(self) -> None:
        """Break a field of documents of each source, and correct it again."""
        for name, field in (
            ("user_interactions", "user_rating"),
            ("abuse_incidents", "created_at"),
            ("users", "privacy_settings"),
        ):
            container, fold = self.container(name), f"fold_{name}"
            good = [item async for item in container.read_all_items()][-3:]
            for broken in (0, -1):
                for document in good:
                    await container.replace_item(document["id"], document | {field: broken})
                await self.here.feed(fold)
            for document in good:
                await container.replace_item(document["id"], document)
            await self.here.invoke("replay_repaired", timer=None)
            await self.here.feed(fold)

    async def operate(self) -> None:
        listed = await self.here.invoke("list_poison", req=request("GET", "poison"))
        rows = json.loads(listed.get_body())
        for row, action in zip(rows, ("replay", "discard"), strict=False):
            asked = request("GET", "poison", poison_id=row["id"])
            assert (await self.here.invoke("get_poison", req=asked)).status_code == 200
            asked = request("POST", "poison", {"by": "ann"}, poison_id=row["id"], action=action)
            await self.here.invoke("settle_poison", req=asked)

    async def migrate(self) -> None:
        """Migrate older documents, each of which changes meanwhile, or whose copy is there already."""
        for name, document in OLDER.items():
            for document_id in IDS:
                body = document | {"id": document_id}
                await self.write(name, body)
                if name == "personality_vectors":
                    for moved, place in MOVED.items():
                        await self.write(name, place | {"id": f"{moved} {document_id}"})
                        await self.write(moved, place | {"id": f"{moved} {document_id}"} | COPY[moved])
        self.here.now += timedelta(minutes=1)
        replace, known = migrating.replace_under_etag, set()

        async def edited(container: Any, body: Any, partition: Any, etag: str) -> bool:
            if (container.id, body["id"]) not in known and body["id"] in IDS:
                known.add((container.id, body["id"]))
                await self.write(container.id, OLDER[container.id] | {"id": body["id"], "note": 1})
            return await replace(container, body, partition, etag)

        for name, to in MIGRATIONS:
            order = {"container": name, "to": to, "ru_per_second": 1e9}
            with patch.object(migrating, "replace_under_etag", edited):
                done = await self.here.invoke("migrate_piece", order=order)
            assert done["finished"]

    async def archive(self) -> None:
        """Archive what is older than a day; nothing is left to do afterwards."""
        await self.pass_by(days=2)
        with (
            patch.object(fleet_archive, "connect_storage", lambda _: nullcontext(MagicMock())),
            patch.object(fleet_archive, "BlobStore", lambda _: blobs),
        ):
            blobs = FakeBlobs(lambda: self.here.now.timestamp())
            for expected in (True, False):
                tasks = await self.here.invoke("archive_plan", order={"older_than_days": 1})
                pages = [await self.here.invoke("archive_page", task=task) for task in tasks]
                assert any(page["outcome"]["archived"] for page in pages) is expected
            report = {"container": "user_sessions", "run": "r", "ranges": 1}
            await self.here.invoke("archive_finish", report=report)

    async def erase(self) -> None:
        """Erase a person who has everything, and one of whom nothing is counted: both have left."""
        published = [item async for item in self.container("user_analytics").read_all_items()]
        leaving = str(published[0]["user_id"])
        await self.write("user_interactions", {"id": "broken", "user_id": leaving, "timestamp": "never"})
        await self.write("abuse_incidents", SAMPLES["abuse_incident"] | {"user_id": leaving})
        reported = (await self.cited_interaction())["user_id"]  # for the last incident of a text
        await self.write("abuse_incidents", SAMPLES["abuse_incident"] | {"user_id": reported})
        await self.write("user_sessions", {"id": "last", "user_id": leaving})
        for name in FEEDS:
            await self.here.feed(name)
        for user in (leaving, "unknown"):
            gone = {"id": f"user_{user}", "user_id": user, "account_status": "deleted"}
            await self.write("users", gone)
        await self.pass_by(days=31)
        with (
            patch.object(fleet_people, "connect_storage", lambda _: nullcontext(MagicMock())),
            patch.object(fleet_people, "BlobStore", lambda _: FakeBlobs()),
        ):
            for _ in range(2):
                await self.here.invoke("serve_people", timer=None)
                await self.pass_by(minutes=5)
        assert not [each for each in await self.interactions() if each.get("user_id") == leaving]

    async def write(self, name: str, document: dict[str, Any]) -> None:
        key = document[container(name).partition_key.removeprefix("/")]
        await self.container(name).execute_item_batch([("upsert", (document,))], key)


IDS = ("older", "old/er")
"""Of documents to migrate. No URL can address the second."""
OLDER: dict[str, dict[str, Any]] = {
    "users": {"user_id": "old", "analytics_consent": True},
    "user_sessions": {"user_id": "old", "session_quality": "active", "start_time": "2025-09-01T08:00:00Z"},
    "user_interactions": {"user_id": "old", "user_input": "?", "timestamp": "2025-09-01T08:00:00Z"},
    "personality_vectors": {
        "partition_key": "krishna", "personality_id": "krishna", "source": "gita", "chapter": "2"
    },
}  # fmt: skip
MOVED: dict[str, dict[str, Any]] = {
    "personality_vectors": OLDER["personality_vectors"],
    "personalities": {
        "partition_key": "krishna", "personality_id": "krishna", "document_type": "personality_profile"
    },
}  # fmt: skip
COPY = {"personality_vectors": {"partition_key": "krishna::gita"}, "personalities": {"full_name": "K."}}
"""What documents say that stand where others of the same id would move to."""
MIGRATIONS = (
    ("users", "1.0"), ("user_sessions", "1.0"), ("user_interactions", "1.1"), ("abuse_incidents", "1.0"),
    ("personality_vectors", "1.1"), ("personality_vectors", "1.2"), ("personalities", "1.0"),
)  # fmt: skip


def request(method: str, route: str, body: Any = None, **route_params: str) -> func.HttpRequest:
    return func.HttpRequest(
        method=method, url=f"/api/{route}", route_params=route_params, body=json.dumps(body or {}).encode()
    )


async def test_every_function_does_its_work_with_its_rights_and_uses_all_of_them() -> None:
    async with fleet_in_process(START) as here:
        await here.grant(tokens())
        await Days(here).run()
        used, refused = await here.used(), await here.refused()
    assert refused == {}
    # fleet(Identity.LIFECYCLE) for functions of shared.rights.FAMILIES
    assert here.connected_as == {name: {rights(name).identity} for name in here.connected_as}
    assert unused(used) == set()


@pytest.mark.parametrize(
    ("function", "container", "action"),
    [
        ("fold_user_interactions", "poison_messages", Action.CREATE),
        ("publish_views", "daily_metrics", Action.CREATE),
        ("audit_feeds", "users", Action.FEED),
        ("refresh_views", "personality_vectors", Action.REPLACE),
    ],
)
async def test_a_function_fails_without_one_of_its_rights(
    function: str, container: str, action: Action
) -> None:
    given = tokens()
    given[function][container].remove(action)
    async with fleet_in_process(START) as here:
        await here.grant(given)
        days = Days(here)
        await write_traffic(here.database, database_writes(PLAN))
        with pytest.raises(Exception, match=action):
            await days.work()
        assert await here.refused() == {function: {container: {action}}}


async def test_a_right_that_no_function_uses_is_found() -> None:
    spare = Work("fold", {**FOLD.grants, "users": FOLD.grants["users"] | {Action.DELETE}})
    with patch.dict(FUNCTIONS, fold_users=Rights(work=(BEGIN, spare), feed="users")):
        assert ("fold", "users", "DELETE") in unused(tokens_as_if_used(without=("users", Action.DELETE)))


def tokens_as_if_used(*, without: tuple[str, Action]) -> Tokens:
    given = tokens()
    for places in given.values():
        places.get(without[0], set()).discard(without[1])
    return given


async def test_a_host_keeps_its_leases_with_the_rights_of_a_trigger() -> None:
    """The local host writes leases as the platform's processor does."""
    grants = {"": {READ_METADATA}, **{place: {*actions} for place, actions in LEASES.grants.items()}}
    async with fleet_in_process(START) as here:
        await here.grant({"host": grants})
        async with here.client("host") as client:
            container = client.get_database_client(DATABASE).get_container_client("change_feed_leases")
            store = LeaseStore(container, prefix="fold-1-", owner="host", process="p")

            async def ranges() -> list[FeedRange]:
                return [FeedRange("", "FF")]

            await store.initialize(ranges)
            [lease] = await store.list()
            held = await store.acquire(lease)
            await held.checkpoint('"1"')
            await held.release()
            [lease] = await store.list()
            await store.delete(lease)
        assert await here.refused() == {}
        assert (await here.used())["host"] == grants
