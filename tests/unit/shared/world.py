"""A fleet over containers in memory: everything between the sources' documents and the published views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.builds.store import DerivedStore
from shared.containers import CATALOGUE
from shared.facts import USER_INTERACTIONS
from shared.fleet.wiring import Fleet
from shared.ingest.sources import SOURCES
from shared.ledger.generations import Generations
from shared.maintenance.rebuild import Rebuilder
from shared.publishing.contents import ContentReader
from shared.publishing.publisher import Publisher
from shared.publishing.readiness import ViewReadiness
from shared.publishing.reference import ReferenceReader
from shared.publishing.scheduled import ScheduledPublisher
from shared.publishing.system_health import HealthPublisher
from shared.settings import Settings
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer
from tests.unit.shared.delivery import Document, Instance

SHARDS = 2

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
"""When the generation began: before everything that the tests write, so that it counts whole periods."""


def contents(state: Any, settings: Settings) -> ContentReader:
    """Return the reader of the contents in a container."""
    return ContentReader(DerivedStore(state, settings.generation, FakeClock(lambda: datetime.now(UTC))))


def no_reference() -> ReferenceReader:
    """Return a reader of what is known of texts and personas, where nothing is known."""
    vectors, personalities = FakeContainer("partition_key"), FakeContainer("partition_key")
    return ReferenceReader(vectors, personalities, clock=FakeClock(lambda: BEGAN))  # type: ignore[arg-type]


class World:
    """Containers by the catalogue, and one of each part of a fleet.

    Parameters
    ----------
    now
        The time, which stands still until it is set.
    """

    def __init__(self, now: datetime = datetime(2025, 9, 15, 14, 47, tzinfo=UTC)) -> None:
        self.now = now
        self.clock = FakeClock(lambda: self.now)
        self.settings = Settings(FLEET_SHARDS=SHARDS, document_backoff_seconds=0.0)
        began = int(now.timestamp())
        self.containers: dict[str, Any] = {
            container.name: FakeContainer(container.partition_key.removeprefix("/"), began=began)
            for container in CATALOGUE
        }
        self.state = self.containers["view_state"]
        self.folding = Instance(self.state)
        self.writes = 0

    def get_container_client(self, name: str) -> Any:
        return self.containers[name]

    async def ingest(self, *documents: Document, source: str = USER_INTERACTIONS) -> None:
        """Write documents to a source and fold them."""
        for document in documents:
            self.writes += 1
            stamp = {"_ts": 1_790_000_000 + self.writes, "_lsn": self.writes, "_etag": f'"{self.writes}"'}
            await self.folding.ingest([document | stamp], SOURCES[source])

    async def publish(self, publisher: Publisher | None = None) -> None:
        """Deliver everything that view_state holds to the publisher."""
        await (publisher or await self.publisher()).publish(list(self.state.items.values()))

    async def fleet(self) -> Fleet:
        """Return one more instance of the fleet, with nothing in its memory."""
        database: Any = self
        fleet = Fleet(self.settings, database=database, audit_database=database, clock=self.clock)
        fleet.rebuilder._pause = 0.0
        fleet_state = self.containers["fleet_state"]
        await Generations(fleet_state, self.settings, clock=FakeClock(lambda: BEGAN)).begin()
        return fleet

    async def readiness(self) -> ViewReadiness:
        return (await self.fleet()).readiness

    async def generations(self) -> Generations:
        return (await self.fleet()).generations

    async def publisher(self) -> Publisher:
        return (await self.fleet()).publisher

    async def scheduled(self) -> ScheduledPublisher:
        return (await self.fleet()).scheduled

    async def rebuilder(self) -> Rebuilder:
        return (await self.fleet()).rebuilder

    async def health(self) -> HealthPublisher:
        return (await self.fleet()).health

    def documents(self, container: str) -> dict[str, Document]:
        """Return what is published in a container, by id."""
        return {item["id"]: item for item in self.containers[container].items.values()}

    def states(self) -> dict[str, Any]:
        """Return the state of all partials that hold anything, by shard and id."""
        return {
            f"{item['shard']} {item['id']}": item["state"]
            for item in self.state.items.values()
            if item["kind"] == "partial" and item["state"]
        }


def interaction(number: int, timestamp: str, user_id: str = "ann", **change: Any) -> Document:
    """Return a small document of ``user_interactions``."""
    return {
        "id": f"interaction_{number}", "user_id": user_id, "timestamp": timestamp, "session_id": f"s{number}",
        "response_text": "…", "response_time_ms": 1000 + number, "user_rating": 5,
        "foundational_texts_used": [{"source": "gita", "chapter": "2", "verse": 47, "relevance_score": 0.9}],
        "response_metadata": {"personality_used": "krishna"}, "query_metadata": {"query_category": "duty"},
    } | change  # fmt: skip
