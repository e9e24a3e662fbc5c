"""The cache of persona configurations: its lifetimes, its bound, and one read for all who ask at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.queries import PersonaCache
from tests.fake_clock import FakeClock


class Source:
    """Reads that can be held back, and counted."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {"krishna": {"version": 1}}
        self.reads: list[str] = []
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None
        self.now = 0.0

    async def load(self, name: str) -> dict[str, Any] | None:
        self.reads.append(name)
        self.begun.put_nowait(name)
        found = self.stored.get(name)
        await self.open.wait()
        if self.error:
            raise self.error
        return found

    def cache(self, **options: Any) -> PersonaCache:
        return PersonaCache(
            self.load, lifetime=100, absent_lifetime=10, clock=FakeClock(lambda: self.now), **options
        )


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_a_configuration_is_read_once_in_its_lifetime(source: Source) -> None:
    cache = source.cache()
    for moment in (0.0, 50.0, 99.9):
        source.now = moment
        assert await cache.get("krishna") == {"version": 1}
    assert len(source.reads) == 1

    source.stored["krishna"] = {"version": 2}
    source.now = 100.0
    assert await cache.get("krishna") == {"version": 2}
    assert len(source.reads) == 2


async def test_the_lifetime_counts_from_the_beginning_of_the_read(source: Source) -> None:
    cache = source.cache()
    source.open.clear()
    asked = asyncio.create_task(cache.get("krishna"))
    await source.begun.get()
    source.now = 60.0
    source.open.set()
    await asked

    source.now = 100.0
    await cache.get("krishna")
    assert len(source.reads) == 2


async def test_that_there_is_none_is_believed_briefly(source: Source) -> None:
    cache = source.cache()
    assert await cache.get("plato") is None
    source.stored["plato"] = {"version": 1}
    source.now = 9.9
    assert await cache.get("plato") is None
    source.now = 10.0
    assert await cache.get("plato") == {"version": 1}


async def test_all_who_ask_at_once_share_one_read(source: Source) -> None:
    cache = source.cache()
    source.open.clear()
    asking = [asyncio.create_task(cache.get("krishna")) for _ in range(50)]
    await source.begun.get()
    source.open.set()
    answers = await asyncio.gather(*asking)

    assert source.reads == ["krishna"]
    answers[0]["version"] = 9
    assert answers[1] == {"version": 1}
    assert await cache.get("krishna") == {"version": 1}


async def test_an_error_reaches_all_who_wait_and_is_not_remembered(source: Source) -> None:
    cache = source.cache()
    source.error = ConnectionError("gone")
    outcomes = await asyncio.gather(*(cache.get("krishna") for _ in range(3)), return_exceptions=True)
    assert outcomes == [source.error] * 3
    assert len(source.reads) == 1

    source.error = None
    assert await cache.get("krishna") == {"version": 1}


async def test_who_gives_up_does_not_take_the_answer_from_the_others(source: Source) -> None:
    cache = source.cache()
    source.open.clear()
    first, second = (asyncio.create_task(cache.get("krishna")) for _ in range(2))
    await source.begun.get()
    first.cancel()
    source.open.set()

    assert await second == {"version": 1}
    with pytest.raises(asyncio.CancelledError):
        await first
    assert source.reads == ["krishna"]


async def test_an_answer_is_kept_though_all_who_asked_gave_up(source: Source) -> None:
    cache = source.cache()
    source.open.clear()
    only = asyncio.create_task(cache.get("krishna"))
    await source.begun.get()
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    source.open.set()

    assert await cache.get("krishna") == {"version": 1}
    assert await cache.get("krishna") == {"version": 1}
    assert source.reads == ["krishna"]


async def test_a_read_that_was_under_way_when_forgotten_is_not_remembered(source: Source) -> None:
    cache = source.cache()
    source.open.clear()
    before = asyncio.create_task(cache.get("krishna"))
    await source.begun.get()
    source.stored["krishna"] = {"version": 2}
    cache.forget("krishna")
    source.open.set()

    assert await before == {"version": 1}
    assert await cache.get("krishna") == {"version": 2}


async def test_who_asks_after_forgetting_does_not_join_the_read_from_before(source: Source) -> None:
    cache = source.cache()
    source.open.clear()
    before = asyncio.create_task(cache.get("krishna"))
    await source.begun.get()
    source.stored["krishna"] = {"version": 2}
    cache.forget("krishna")
    after = asyncio.create_task(cache.get("krishna"))
    await source.begun.get()
    source.open.set()

    assert await before == {"version": 1}
    assert await after == {"version": 2}


async def test_the_one_asked_for_longest_ago_makes_room(source: Source) -> None:
    source.stored = {name: {"name": name} for name in "abc"}
    cache = source.cache(most=2)
    for name in ("a", "b", "a", "c"):
        await cache.get(name)
    assert source.reads == ["a", "b", "c"]

    await cache.get("a")
    assert source.reads == ["a", "b", "c"]
    await cache.get("b")
    assert source.reads == ["a", "b", "c", "b"]


async def test_guessed_names_push_out_no_configuration_and_are_bounded(source: Source) -> None:
    cache = source.cache(most=2)
    await cache.get("krishna")
    for name in ("guess1", "guess2", "guess3"):
        assert await cache.get(name) is None
    await cache.get("krishna")
    assert source.reads.count("krishna") == 1

    await cache.get("guess1")
    assert source.reads.count("guess1") == 2
