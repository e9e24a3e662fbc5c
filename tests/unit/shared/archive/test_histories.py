"""Over any history, a document counts once: in the version that the rules of the page docs/archive.md give.

The rules are written down here a second time, as a few dictionaries, without the code that they judge.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.archive.counting import ArchiveCounter
from shared.archive.restore import NothingArchivedError
from shared.containers import CATALOGUE, DAY, FLEET_STATE
from shared.fleet.wiring import Fleet
from shared.settings import Settings
from tests.unit.shared.archive.world import World, interaction, world
from tests.unit.shared.delivery import no_pauses

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

INTERACTIONS = "user_interactions"
PEOPLE = ("ann", "bob")
DOCUMENTS = 3

NUMBERS = st.integers(0, DOCUMENTS - 1)


def story(text: str) -> list[tuple[str, int, int]]:
    """Return the steps of a history of one document."""
    steps = []
    for words in text.split(", "):
        name, _, value = words.partition(" ")
        number = int(value or 0)
        steps.append((name, number, 0) if name == "pass" else (name, 0, number))
    return steps


STEPS = st.lists(
    st.tuples(st.just("write"), NUMBERS, st.integers(1, 5))
    | st.tuples(st.just("pass"), st.sampled_from([10, 100, 190, 300]), st.just(0))
    | st.tuples(st.sampled_from(["restore", "late", "erase"]), NUMBERS, st.integers(0, 5))
    | st.tuples(
        st.sampled_from(["deliver", "archive", "archive", "generation", "count"]), st.just(0), st.just(0)
    ),
    min_size=4,
    max_size=24,
)


class Written(NamedTuple):
    """A version of a document."""

    rating: int
    at: int


@dataclass
class Model:
    """What must be so, by number of document."""

    live: dict[int, Written] = field(default_factory=dict)
    first: dict[int, date] = field(default_factory=dict)
    """The day of a document's own time."""
    archived: dict[int, list[Written]] = field(default_factory=dict)
    counted: dict[int, Written] = field(default_factory=dict)
    delivered: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    """What the feed has delivered, and may deliver again."""
    erased: set[str] = field(default_factory=set)

    def is_open(self, number: int, now: float) -> bool:
        day = self.first[number]
        after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
        end = datetime(after.year, after.month, 1, tzinfo=UTC) + timedelta(days=365 + 35 - 2)
        return now < end.timestamp()


def owner(number: int) -> str:
    return PEOPLE[number % len(PEOPLE)]


class History:
    """A world with a fleet, and the model beside it."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.model = Model()
        self.generation = 0
        self.fleet: Fleet
        self.source = here.database.get_container_client(INTERACTIONS)

    async def begin_generation(self) -> None:
        self.generation += 1
        of = Settings(FLEET_GENERATION=self.generation, FLEET_SHARDS=1, FLEET_DOCUMENT_BACKOFF_SECONDS=0)
        self.fleet = Fleet(
            of, database=self.here.database, audit_database=self.here.database, clock=self.here.clock
        )
        await self.fleet.generations.begin()
        self.model.counted.clear()

    def forget_expired(self) -> None:
        now = self.here.time
        for number, written in list(self.model.live.items()):
            if written.at + 365 * DAY <= now:
                del self.model.live[number]

    async def do(self, step: str, number: int, more: int) -> None:
        self.here.time = float(int(self.here.time) + 1)
        self.forget_expired()
        await getattr(self, f"do_{step}")(number, more)

    async def do_write(self, number: int, rating: int) -> None:
        """The application writes or edits a document; it does not edit what has expired."""
        model = self.model
        if owner(number) in model.erased or (number in model.first and number not in model.live):
            return
        now = int(self.here.time)
        day = model.first.setdefault(number, datetime.fromtimestamp(now, UTC).date())
        document = interaction(number, owner(number), timestamp=f"{day}T00:00:00Z", user_rating=rating)
        await self.source.upsert_item(document)
        model.live[number] = Written(rating, now)

    async def do_pass(self, days: int, _: int) -> None:
        self.here.time += days * DAY
        self.forget_expired()

    async def do_deliver(self, _: int, __: int) -> None:
        """The feed delivers everything, in the current generation."""
        feed = [item async for item in self.source.query_items_change_feed(start_time="Beginning")]
        for raw in feed:
            self.model.delivered.setdefault(int(raw["id"][1:]), []).append(raw)
        await self.fleet.ingest.ingest_batch(INTERACTIONS, feed)
        for number, written in self.model.live.items():
            self.count(number, written)

    def count(self, number: int, written: Written) -> None:
        if self.model.is_open(number, self.here.time) and owner(number) not in self.model.erased:
            self.model.counted[number] = written

    async def do_late(self, number: int, which: int) -> None:
        """An earlier delivery comes once more, and then the feed goes on. The later version counts."""
        known = self.model.delivered.get(number)
        if not known:
            return
        raw = known[which % len(known)]
        await self.fleet.ingest.ingest_batch(INTERACTIONS, [raw])
        delivered = Written(raw["user_rating"], raw["_ts"])
        counted = self.model.counted.get(number)
        if counted is None or delivered.at > counted.at:
            self.count(number, delivered)
        await self.do_deliver(0, 0)

    async def do_archive(self, _: int, __: int) -> None:
        await self.here.archiver(self.here.erased_among).run(INTERACTIONS)
        for number, written in self.model.live.items():
            if written.at > self.here.time - 180 * DAY:
                continue
            versions = self.model.archived.setdefault(number, [])
            if not versions or versions[-1].rating != written.rating:
                versions.append(written)

    async def do_restore(self, number: int, _: int) -> None:
        wanted = [n for n in self.model.archived if owner(n) == owner(number)]
        try:
            await self.here.restorer().restore(user_id=owner(number))
        except NothingArchivedError:
            assert not wanted
            return
        for each in wanted:
            if each not in self.model.live:
                rating = self.model.archived[each][-1].rating
                self.model.live[each] = Written(rating, int(self.here.time))

    async def do_count(self, _: int, __: int) -> None:
        counter = ArchiveCounter(
            archive=self.here.archive,
            ingest=self.fleet.ingest,
            retention=self.fleet.retention,
            erased_among=self.here.erased_among,
            clock=self.here.clock,
        )
        await counter.count()
        for number, versions in self.model.archived.items():
            counted, copy = self.model.counted.get(number), versions[-1]
            if counted is None:
                self.count(number, copy)
            elif copy.at != counted.at:  # the order is not known, so that the live document decides
                live = self.model.live.get(number)
                self.count(number, live or max(copy, counted, key=lambda version: version.at))

    async def do_generation(self, _: int, __: int) -> None:
        await self.begin_generation()

    async def do_erase(self, number: int, more: int) -> None:
        """Erase a person from the sources and the archive. What is counted is not this test's matter."""
        if more:
            return
        user = owner(number)
        self.here.erased.add(user)
        self.model.erased.add(user)
        await self.fleet.register.write_tombstone(user)
        await self.here.archive.erase_person(user)
        for each in [n for n in self.model.live if owner(n) == user]:
            await self.source.delete_item(f"i{each}", user)
            del self.model.live[each]
        for each in [n for n in self.model.archived if owner(n) == user]:
            del self.model.archived[each]
        await self.begin_generation()

    async def check(self) -> None:
        """Compare the state, the source and the archive with the model."""
        self.forget_expired()
        live = {int(each["id"][1:]): each["user_rating"] for each in await self.here.all_of(INTERACTIONS)}
        assert live == {number: written.rating for number, written in self.model.live.items()}
        wanted: dict[str, list[int]] = {}
        for number, written in self.model.counted.items():
            if self.model.is_open(number, self.here.time):
                wanted.setdefault(str(self.model.first[number]), []).append(written.rating)
        found: dict[str, list[int]] = {}
        open_days = {str(d) for n, d in self.model.first.items() if self.model.is_open(n, self.here.time)}
        for item in await self.here.all_of("view_state"):
            kind, _, day = item["id"].rpartition("|")
            ours = item.get("shard", "").startswith(f"{self.generation}:") and kind == "partial|day"
            if ours and day in open_days and item["state"]:
                sums, means = item["state"]["sums"], item["state"]["means"]
                found[day] = [sums["interactions"], means["rating"][0]]
        assert found == {day: [len(ratings), sum(ratings)] for day, ratings in wanted.items()}
        verified = await self.here.verifier().verify(sample=None)
        assert verified.problems == []
        assert verified.documents == sum(map(len, self.model.archived.values()))
        for user in self.model.erased:
            assert f'"{user}"' not in repr(self.here.blobs.blobs)
            assert f"/{user}/" not in repr(self.here.blobs.blobs)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
@example(
    story(
        "write 3, pass 190, archive, write 5, pass 190, archive, write 3, pass 190, archive, pass 300,"
        " pass 100, restore, deliver"
    )
)
@example(
    story(
        "write 3, deliver, pass 190, archive, pass 190, generation, deliver, count, count, restore, deliver"
    )
)
@example(
    story(
        "write 3, deliver, pass 190, archive, pass 190, restore, deliver, generation, count, deliver,"
        " late, write 4, count, deliver, late"
    )
)
@example(
    story(
        "write 3, pass 190, archive, write 5, pass 190, archive, pass 190, generation, count, restore,"
        " deliver, pass 300, archive, restore, count"
    )
)
@example(
    story("write 3, deliver, pass 190, archive, pass 190, restore, erase, restore, count, late, deliver")
)
def test_whatever_happens_a_document_counts_once_and_nobody_comes_back(
    steps: list[tuple[str, int, int]],
) -> None:
    asyncio.run(_live_through(steps))


async def _live_through(steps: list[tuple[str, int, int]]) -> None:
    async with AsyncExitStack() as opened:
        sources = [each.name for each in CATALOGUE if each.name != FLEET_STATE]
        here = await opened.enter_async_context(world(partitions=1, sources=sources))
        history = History(here)
        await history.begin_generation()
        for step in steps:
            await history.do(*step)
            await history.check()
        await history.do("deliver", 0, 0)
        await history.check()
