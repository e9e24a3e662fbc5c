"""A state that was deleted or restored is noticed; one that is only changed by several instances is not."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import SettingsError
from shared.ledger import state_mark
from shared.ledger.generations import Generations
from shared.ledger.state_mark import StateMark
from shared.settings import Settings
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_mark, "PAUSE_SECONDS", 0.0)


class World:
    """The containers, and instances with clocks of their own."""

    def __init__(self) -> None:
        self.state, self.fleet_state = FakeContainer("shard"), FakeContainer("scope")
        self.now = datetime(2025, 9, 15, tzinfo=UTC)

    def mark(self, *, generation: int = 1, skew: float = 0.0) -> StateMark:
        settings = Settings(FLEET_GENERATION=generation)
        fleet_state: Any = self.fleet_state
        state: Any = self.state
        return StateMark(
            state,
            fleet_state,
            settings,
            generations=Generations(fleet_state, settings),
            clock=FakeClock(lambda: self.now + timedelta(seconds=skew)),
        )


async def test_a_state_that_never_had_a_mark_is_right() -> None:
    world = World()
    await world.mark().check()
    assert world.state.items == {}


async def test_an_emptied_state_is_noticed_with_the_generation_to_set() -> None:
    world = World()
    await Generations(world.fleet_state, Settings(FLEET_GENERATION=3)).begin()  # type: ignore[arg-type]
    await world.mark(generation=3).advance()
    world.state.items.clear()
    with pytest.raises(SettingsError, match=r"generation 3 has counted.*Set FLEET_GENERATION to 4 "):
        await world.mark(generation=3).check()
    with pytest.raises(SettingsError):
        await world.mark(generation=3).advance()
    assert world.state.items == {}  # nothing hides it
    await world.mark(generation=4).advance()  # the way out
    await world.mark(generation=4).check()


async def test_a_process_notices_that_the_container_was_made_again() -> None:
    world = World()
    mark = world.mark()
    await mark.advance()
    world.state.resource_id = "another"
    with pytest.raises(SettingsError, match="deleted, or restored"):
        await mark.check()


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=6), st.data())
async def test_a_state_restored_to_any_earlier_moment_is_noticed(skews: list[float], data: Any) -> None:
    world, moments, marks = World(), list[dict[Any, Any]](), list[int]()
    for skew in skews:
        moments.append(copy.deepcopy(world.state.items))
        marks.append(max((each["at"] for each in world.state.items.values()), default=0))
        world.now += timedelta(seconds=300)
        await world.mark(skew=skew).advance()
    final = max(each["at"] for each in world.state.items.values())
    chosen = data.draw(st.integers(0, len(moments) - 1))
    world.state.items = moments[chosen]
    if marks[chosen] < final:
        with pytest.raises(SettingsError):
            await world.mark().check()
    else:  # the clock of an instance stood still: nothing grew since
        await world.mark().check()


@given(st.lists(st.tuples(st.booleans(), st.floats(-500, 500)), min_size=1, max_size=8))
async def test_instances_that_write_and_check_at_once_never_raise_a_false_alarm(
    instances: list[tuple[bool, float]],
) -> None:
    world = World()
    marks = [(writes, world.mark(skew=skew)) for writes, skew in instances]
    await asyncio.gather(*(mark.advance() if writes else mark.check() for writes, mark in marks))
    await world.mark().check()


async def test_an_instance_that_ends_between_the_two_writes_raises_no_alarm() -> None:
    world = World()
    await world.mark().advance()

    def die(operation: str, moment: str) -> None:
        if operation == "replace":
            raise KeyboardInterrupt

    world.now += timedelta(seconds=300)
    world.fleet_state.fault = die
    with pytest.raises(KeyboardInterrupt):
        await world.mark().advance()
    world.fleet_state.fault = lambda *_: None
    await world.mark().check()


async def test_a_replica_that_lags_raises_no_alarm() -> None:
    world = World()
    await world.mark().advance()
    older = copy.deepcopy(world.state.items)
    world.now += timedelta(seconds=300)
    await world.mark().advance()
    newer, world.state.items = world.state.items, older
    reads = 0

    def lag(operation: str, moment: str) -> None:
        nonlocal reads
        reads += (operation, moment) == ("read", "before")
        if reads == state_mark.READS:
            world.state.items = newer

    world.state.fault = lag
    await world.mark().check()
    assert reads == state_mark.READS
