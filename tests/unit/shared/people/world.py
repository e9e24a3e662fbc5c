"""A fleet on the in-process database server, blobs in memory, and what exports and erases people there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.cosmos.aio import DatabaseProxy

from shared.containers import CATALOGUE
from shared.fleet.people import people_of
from shared.fleet.wiring import Fleet
from shared.ingest.sources import SOURCES
from shared.people.people import People
from shared.people.requests import Reason, Request
from shared.settings import Settings
from tests.cosmos_in_process import InProcessCosmos
from tests.fake_blobs import FakeBlobs
from tests.fake_clock import FakeClock

Document = dict[str, Any]

START = datetime(2025, 9, 15, 14, 0, tzinfo=UTC)


class World:
    """One database, its storage, and a clock that a test moves."""

    def __init__(self, cosmos: InProcessCosmos, clients: AsyncExitStack) -> None:
        self.cosmos = cosmos
        self._clients = clients
        self.now = START
        self.clock = FakeClock(lambda: self.now)
        self.settings = Settings(FLEET_SHARDS=2, FLEET_DOCUMENT_BACKOFF_SECONDS=0)
        self.archive, self.tombstones, self.exports = (
            FakeBlobs(lambda: self.now.timestamp()) for _ in range(3)
        )
        self.database: DatabaseProxy
        self._feeds: dict[tuple[int, str], str] = {}

    async def client(self) -> DatabaseProxy:
        return await self._clients.enter_async_context(self.cosmos.client())

    async def fleet(self) -> Fleet:
        """Return the fleet of a new process."""
        database = await self.client()
        fleet = Fleet(self.settings, database=database, audit_database=database, clock=self.clock)
        await fleet.generations.begin()
        return fleet

    def people(self, fleet: Fleet) -> People:
        return people_of(
            fleet,
            lifecycle_database=fleet.database,
            archive_blobs=self.archive,
            tombstone_blobs=self.tombstones,
            export_blobs=self.exports,
            clock=self.clock,
        )

    async def write(self, container: str, *documents: Document) -> None:
        for document in documents:
            await self.database.get_container_client(container).upsert_item(document)

    async def deliver(self, fleet: Fleet, *, again: bool = False) -> None:
        """Deliver what the feeds of all sources hold and were not delivered to this generation."""
        for name in SOURCES:
            key = (fleet.settings.generation, name)
            since = None if again else self._feeds.get(key)
            client = fleet.database.get_container_client(name)
            start: Any = {"continuation": since} if since else {"start_time": "Beginning"}
            documents = [item async for item in client.query_items_change_feed(**start)]
            self._feeds[key] = client.client_connection.last_response_headers["etag"]
            if documents:
                await fleet.ingest.ingest_batch(name, documents)

    async def publish(self, fleet: Fleet) -> None:
        """Publish the live views, and everything that timers publish."""
        await fleet.generations.complete()
        prefix = f"{fleet.settings.generation}:"
        state = [each for each in self.cosmos.documents("view_state") if each["shard"].startswith(prefix)]
        await fleet.publisher.publish(state)
        await fleet.scheduled.publish_due()

    async def erase(self, user_id: str, fleet: Fleet | None = None) -> Request:
        """Erase a person, with all steps and the wait."""
        people = self.people(fleet or await self.fleet())
        request = await people.erase(user_id, reason=Reason.PERSON, by="tests")
        return await self.finish(people, request)

    async def finish(self, people: People, request: Request) -> Request:
        for _ in range(100):
            request, seconds = await people.advance(request.id)
            if not request.is_running:
                return request
            self.now += timedelta(seconds=seconds)
        raise AssertionError(f"the request does not end: {request}")

    def everything(self) -> dict[str, list[Document]]:
        """Return all documents of all containers, as the service stores them."""
        return {each.name: self.cosmos.documents(each.name) for each in CATALOGUE}

    def mentions(self, *texts: str) -> list[str]:
        """Return where a text is anywhere in the database, or in any blob or its name."""
        found = [
            f"{name}: {document['id']}"
            for name, documents in self.everything().items()
            for document in documents
            if any(text in repr(document) for text in texts)
        ]
        for store in (self.archive, self.tombstones, self.exports):
            for name, (content, known) in store.blobs.items():
                if any(t in name or t.encode() in content or t in repr(known.metadata) for t in texts):
                    found.append(name)
        return found


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Make a world with the catalogue's containers."""
    made: list[World] = []
    cosmos = InProcessCosmos(lambda: (made[0].now if made else START).timestamp(), partitions=2)
    with cosmos.at_its_time():
        async with AsyncExitStack() as clients:
            clients.callback(cosmos.close)
            made.append(World(cosmos, clients))
            made[0].database = await made[0].client()
            await cosmos.create(made[0].database, CATALOGUE)
            yield made[0]


def account(user: str, **more: Any) -> Document:
    return {
        "id": f"user_{user}", "user_id": user, "email": f"{user}@example.org", "auth_id": f"auth-{user}",
        "account_status": "active", "privacy_settings": {"analytics_consent": True}, **more,
    }  # fmt: skip


def interaction(user: str, number: int, at: str = "2025-09-10T09:00:00Z", **more: Any) -> Document:
    return {
        "id": f"{user}-i{number}", "user_id": user, "timestamp": at, "session_id": f"{user}-s{number // 2}",
        "user_query": f"A secret question of {user}", "response_text": "An answer", "response_time_ms": 900,
        "user_rating": 4, "query_metadata": {"query_category": "duty", "topic_tags": ["karma"]},
        "response_metadata": {"personality_used": "krishna"},
        "foundational_texts_used": [
            {"source": "bhagavad_gita", "chapter": "2", "verse": "47", "relevance_score": 0.9}
        ],
        "cost_data": {"model_used": "gemini-2.5-flash", "input_tokens": 100 + number, "output_tokens": 50},
        **more,
    }  # fmt: skip


def session(user: str, number: int, at: str = "2025-09-10T08:59:00Z", **more: Any) -> Document:
    return {
        "id": f"{user}-s{number}", "session_id": f"{user}-s{number}", "user_id": user, "start_time": at,
        "end_time": "2025-09-10T09:30:00Z", "status": "completed", "session_token": f"token-of-{user}",
        "completion_reason": "completed", "interaction_count": 2, **more,
    }  # fmt: skip


def incident(user: str, number: int, **more: Any) -> Document:
    return {
        "id": f"{user}-a{number}", "user_id": user, "interaction_id": f"{user}-i{number}",
        "created_at": "2025-09-10T09:05:00Z", "incident_type": "spam", "severity": "low",
        "review_status": "completed", "review_decision": "confirmed", "human_reviewer": "reviewer-7",
        "review_notes": f"Notes about {user}", "flagged_content": {"flagged_text": f"Flagged {user}"}, **more,
    }  # fmt: skip


async def fill(world: World, users: Iterable[str], *, documents: int = 4) -> None:
    """Write accounts, sessions, interactions and incidents of people."""
    for user in users:
        await world.write("users", account(user))
        await world.write("user_sessions", *(session(user, n) for n in range(documents // 2)))
        await world.write("user_interactions", *(interaction(user, n) for n in range(documents)))
        await world.write("abuse_incidents", incident(user, 0), incident(user, 1))
