"""A container that was restored to an earlier moment: the figures follow, and the audit says so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.aggregates.tally import Tally
from shared.containers import CATALOGUE
from shared.fleet.wiring import Fleet
from shared.ledger.partials import Partial
from shared.settings import Settings
from tests.cosmos_in_process import InProcessCosmos
from tests.fake_clock import FakeClock
from tests.unit.shared.world import interaction

FEED = "user_interactions"
DAY = "2025-09-01"
STARTED = datetime(2025, 9, 2, 12, tzinfo=UTC).timestamp()

ratings = st.dictionaries(st.integers(0, 5), st.sampled_from([1, 3, 5, None, "bad"]), min_size=1)
"""What is written of documents by number: a rating, none, or one that is impossible."""


class Story:
    """A fleet on a database of its own, whose trigger delivers what a test says."""

    def __init__(self, cosmos: InProcessCosmos) -> None:
        self.cosmos = cosmos
        self.now = STARTED

    async def tell(
        self,
        first: dict[int, Any],
        then: dict[int, Any],
        after: dict[int, Any],
        *,
        is_delivered: bool,
        passes: int,
        is_known: bool,
    ) -> None:
        async with (
            self.cosmos.client() as database,
            self.cosmos.client() as audit_database,
            self.cosmos.client() as web_application,
            self.cosmos.client() as web_application_afterwards,
        ):
            await self.cosmos.create(database, CATALOGUE)
            self.database = database
            self.container = web_application.get_container_client(FEED)
            self.fleet = Fleet(
                Settings(FLEET_SHARDS=2, FLEET_DOCUMENT_BACKOFF_SECONDS=0),
                database=database,
                audit_database=audit_database,
                clock=FakeClock(lambda: self.now),
            )
            await self.write(first)
            await self.deliver()
            if is_known:
                await self.audit()
            snapshot = self.cosmos.snapshot(FEED)
            await self.write({number: rating for number, rating in then.items() if number in first})
            await self.deliver()
            await self.cosmos.restore(database, self.container, snapshot)
            self.container = web_application_afterwards.get_container_client(FEED)
            self.now += passes
            await self.write(after)
            if is_delivered:
                await self.deliver()
            before, repaired = await self.figures(), (await self.audit())[0]
            expected = self.expected()
            assert await self.figures() == expected
            if before != expected:
                assert repaired > 0
            assert (await self.audit())[0] == 0
            assert (await self.audit(from_beginning=True))[0] == 0
            assert await self.figures() == expected

    async def write(self, documents: dict[int, Any]) -> None:
        for number, rating in documents.items():
            self.now += 7
            await self.container.upsert_item(
                interaction(number, f"{DAY}T10:00:00Z", f"user {number % 3}", user_rating=rating)
            )

    async def deliver(self) -> None:
        pages = self.container.query_items_change_feed(start_time="Beginning").by_page()
        documents = [item async for page in pages async for item in page]
        await self.fleet.ingest.ingest_batch(FEED, documents)

    async def audit(self, *, from_beginning: bool = False) -> list[int]:
        self.now += 1
        reports = await self.fleet.auditor.audit_all(delay_seconds=0, from_beginning=from_beginning)
        assert all(report.caught_up for report in reports)
        return [report.repaired for report in reports]

    async def figures(self) -> tuple[int, int]:
        """Return the interactions and the sum of ratings that the state counts."""
        state, total = self.database.get_container_client("view_state"), Tally()
        async for item in state.query_items("SELECT * FROM c WHERE c.kind = 'partial'"):
            if item["aggregate"] == "day":
                total.merge(Partial.decode(item).state)
        return total.total("interactions"), total.mean_of("rating").total

    def expected(self) -> tuple[int, int]:
        good = [d for d in self.cosmos.documents(FEED) if d["user_rating"] != "bad"]
        return len(good), sum(document["user_rating"] or 0 for document in good)


@given(
    first=ratings,
    then=ratings,
    after=ratings | st.just({}),
    delivered=st.booleans(),
    passes=st.integers(0, 600),
    known=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_figures_follow_a_restore(
    first: dict[int, Any],
    then: dict[int, Any],
    after: dict[int, Any],
    delivered: bool,
    passes: int,
    known: bool,
) -> None:
    cosmos = InProcessCosmos(lambda: story.now, partitions=2)
    story = Story(cosmos)
    with cosmos.at_its_time():
        asyncio.run(story.tell(first, then, after, is_delivered=delivered, passes=passes, is_known=known))
    cosmos.close()
