"""Histories: whatever happens to an erased person's documents, nobody comes back and nobody else changes."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.settings import Settings
from tests.independent import assert_views_equal
from tests.unit.shared.people.world import Document, World, account, interaction, world

PEOPLE = ["ann-marie", "ben", "cid-7"]

events = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(PEOPLE), st.integers(0, 3), st.integers(1, 5)),
    st.tuples(st.just("erase"), st.sampled_from(PEOPLE[:2])),
    st.tuples(
        st.sampled_from(["deliver", "deliver again", "restart", "restore", "new generation", "replay"])
    ),
)


class History:
    """A fleet to which things happen. What is erased stays so, whatever follows."""

    def __init__(self, one: World) -> None:
        self.world = one
        self.erased: set[str] = set()
        self.warm: Any = None
        self.written: list[Document] = []
        """Every version of every interaction, of erased people too."""

    async def begin(self) -> None:
        self.warm = await self.world.fleet()
        for user in PEOPLE:
            await self.world.write("users", account(user))

    async def happen(self, event: tuple[Any, ...], dice: random.Random) -> None:
        match event:
            case "write", user, number, rating:
                document = interaction(user, number, user_rating=rating)
                self.written.append(document)
                if user not in self.erased or dice.random() < 0.5:  # an account that still works
                    await self.world.write("user_interactions", document)
            case "erase", user:
                await self.world.erase(user, dice.choice([self.warm, await self.world.fleet()]))
                self.erased.add(user)
            case ("deliver",):
                await self.world.deliver(self.warm)
            case ("deliver again",):
                await self.world.deliver(self.warm, again=True)
            case ("restart",):
                self.warm = await self.world.fleet()
            case ("replay",):
                late = [each | {"_ts": 1_700_000_000, "_etag": f'"{dice.random()}"'} for each in self.written]
                gone = [each for each in late if each["user_id"] in self.erased]
                if gone:
                    await self.warm.ingest.ingest_batch("user_interactions", gone)
            case ("restore",):
                await self.restore(dice)
            case ("new generation",):
                number = self.world.settings.generation + 1
                self.world.settings = Settings(FLEET_SHARDS=2 + number % 2, FLEET_GENERATION=number)
                self.warm = await self.world.fleet()

    async def restore(self, dice: random.Random) -> None:
        """Bring documents of erased people back into a source, as a restore from a copy does."""
        gone = [each for each in self.written if each["user_id"] in self.erased]
        if gone:
            await self.world.write("user_interactions", dice.choice(gone))

    async def end(self) -> None:
        """Deliver everything, publish, and compare with the independent computation without the erased."""
        await self.world.deliver(self.warm)
        await self.world.deliver(await self.world.fleet(), again=True)
        self.world.now += timedelta(days=1)
        last = await self.world.fleet()
        await self.world.publish(last)
        of = self.world.cosmos.documents
        remaining = [each for each in of("user_interactions") if each["user_id"] not in self.erased]
        assert_views_equal(of("daily_metrics"), of("user_analytics"), remaining)
        people = self.world.people(last)
        for user in self.erased:
            assert await people.eraser._state.find(user) == {}
            assert not [each for each in of("user_analytics") if each["user_id"] == user]
            assert not [each for each in of("poison_messages") if user in repr(each)]


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events, min_size=4, max_size=10), st.integers(0, 2**16))
def test_nobody_comes_back_and_nobody_else_changes(happened: list[tuple[Any, ...]], seed: int) -> None:
    asyncio.run(run_history(happened, random.Random(seed)))


async def run_history(happened: list[tuple[Any, ...]], dice: random.Random) -> None:
    async with world() as one:
        history = History(one)
        await history.begin()
        for event in happened:
            await history.happen(event, dice)
        await history.end()
