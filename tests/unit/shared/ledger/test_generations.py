"""Generations: settings that do not fit the state are refused, and partial figures are held back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.cosmos import retries
from shared.errors import SettingsError
from shared.ledger.generations import LAYOUT, MARGIN_DAYS, Generation, Generations
from shared.ledger.shards import shard_of
from shared.settings import Settings, load_settings
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer

BEGAN = 1_760_000_000


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "jittered_pause", lambda *_: 0.0)


@pytest.fixture
def state() -> FakeContainer:
    return FakeContainer("scope")


def generations(state: FakeContainer, *, generation: int = 1, shards: int = 64) -> Generations:
    settings = Settings(FLEET_GENERATION=generation, FLEET_SHARDS=shards)
    return Generations(state, settings, clock=FakeClock(lambda: BEGAN))  # type: ignore[arg-type]


def stored(state: FakeContainer) -> Any:
    return state.items["generations", "generations"]["generations"]


async def test_the_first_generation_is_remembered_and_complete_at_once(state: FakeContainer) -> None:
    assert await generations(state).begin() == Generation(shards=64, began=BEGAN, complete=True)
    record = {"shards": 64, "layout": LAYOUT, "began": BEGAN, "complete": True, "completed": None}
    assert stored(state) == {"1": record | {"margin_days": MARGIN_DAYS}}
    state.requests.clear()
    again = generations(state)
    await again.begin()
    assert await again.is_complete()
    assert state.requests == ["read"]


@given(
    left=st.sets(st.sampled_from(["state", "daily_metrics", "user_analytics"])),
    number=st.integers(1, 3),
    before=st.integers(0, 1),
)
async def test_a_generation_is_complete_at_once_only_if_nothing_was_ever_recorded_counted_or_published(
    left: set[str], number: int, before: int
) -> None:
    record, outputs = (
        FakeContainer("scope"),
        {name: FakeContainer("pk") for name in ("state", "daily_metrics", "user_analytics")},
    )
    for name in left:
        await outputs[name].upsert_item({"id": "any", "pk": "any"})
    if before:
        await generations(record, generation=number).begin()
    settings = Settings(FLEET_GENERATION=number + before)
    begun: Any = Generations(record, settings, outputs=list(outputs.values()), clock=FakeClock(lambda: BEGAN))  # type: ignore[arg-type]
    with capture_logs() as logs:
        first = await begun.begin()
        assert await begun.begin() == first
    assert first.complete == (not left and not before)
    assert await begun.is_complete() == first.complete
    lost = [each for each in logs if each["event"] == "generations_lost"]
    assert len(lost) == bool(left and not before)
    await begun.complete()
    assert await begun.is_complete()


async def test_an_instance_that_begins_while_another_one_counts_already_does_not_take_the_record_for_lost(
    state: FakeContainer,
) -> None:
    counted = FakeContainer("pk")
    other: Any = generations(state)

    async def begins_and_counts(operation: str) -> None:
        if operation == "query" and not counted.items:
            await other.begin()
            await counted.upsert_item({"id": "any", "pk": "any"})

    class Slow(FakeContainer):
        async def _begin(self, operation: str) -> None:
            await begins_and_counts(operation)

    slow = Slow("pk")
    slow.items = counted.items
    late: Any = Generations(state, Settings(), outputs=[slow], clock=FakeClock(lambda: BEGAN))  # type: ignore[arg-type, list-item]
    with capture_logs() as logs:
        assert (await late.begin()).complete
    assert not [each for each in logs if each["event"] == "generations_lost"]


async def test_another_number_of_shards_is_refused_in_one_sentence_with_both_numbers(
    state: FakeContainer,
) -> None:
    await generations(state).begin()
    changed = generations(state, shards=32)
    for refused in (changed.begin, changed.check, changed.is_complete):
        with pytest.raises(SettingsError, match=r"^The setting FLEET_SHARDS is 32, .* 64 shards: .*\.$"):
            await refused()
    assert stored(state)["1"]["shards"] == 64


async def test_a_generation_of_an_earlier_release_is_refused_and_the_next_one_named(
    state: FakeContainer,
) -> None:
    await generations(state).begin()
    stored(state)["1"].pop("layout")  # as a release that knew no layouts has recorded it
    for refused in (generations(state).begin, generations(state).check, generations(state).is_complete):
        with pytest.raises(
            SettingsError,
            match=r"^The setting FLEET_GENERATION is 1, but generation 1 was counted by an earlier release "
            r".* set it to 2 .*start-a-new-generation\.md\.$",
        ):
            await refused()
    assert "layout" not in stored(state)["1"]
    second = generations(state, generation=2)
    assert await second.begin() == Generation(shards=64, began=BEGAN, complete=False)
    assert [known["layout"] for known in stored(state).values()] == [1, LAYOUT]
    assert (await second.recorded())[1].layout == 1


async def test_a_generation_of_a_later_release_is_refused_after_a_step_back(state: FakeContainer) -> None:
    await generations(state).begin()
    stored(state)["1"]["layout"] = LAYOUT + 1
    with pytest.raises(SettingsError, match=rf"by a later release \(layout {LAYOUT + 1} of the state; "):
        await generations(state).begin()


async def test_completing_does_not_change_when_or_how_a_generation_began(state: FakeContainer) -> None:
    await generations(state).begin()
    second = generations(state, generation=2, shards=8)
    begun = await second.begin()
    await second.complete()
    done = replace(begun, complete=True, completed=BEGAN)
    assert (await second.recorded())[2] == await second.completed() == done
    assert await generations(state, generation=2, shards=8).completed() == done


async def test_what_a_generation_counted_is_what_the_sources_held_when_it_was_complete() -> None:
    begun = Generation(shards=64, began=BEGAN, complete=False)
    assert begun.counted == BEGAN
    assert replace(begun, complete=True, completed=BEGAN + 90_000).counted == BEGAN + 90_000


async def test_looking_writes_nothing(state: FakeContainer) -> None:
    looking = generations(state)
    assert await looking.check() is None
    assert not await looking.is_complete()
    assert not state.items


async def test_a_later_generation_may_have_other_shards_and_waits_to_be_complete(
    state: FakeContainer,
) -> None:
    await generations(state).begin()
    second = generations(state, generation=2, shards=128)
    assert await second.begin() == Generation(shards=128, began=BEGAN, complete=False)
    assert not await second.is_complete()
    elsewhere = generations(state, generation=2, shards=128)
    await elsewhere.complete()
    assert await second.is_complete()
    assert {number: known["shards"] for number, known in stored(state).items()} == {"1": 64, "2": 128}


async def test_a_generation_that_was_replaced_is_refused(state: FakeContainer) -> None:
    first, second = generations(state), generations(state, generation=2)
    await first.begin()
    await second.begin()
    assert (await generations(state).begin()).complete  # back again, while the second is not complete
    await second.complete()
    with pytest.raises(SettingsError, match=r"^The setting FLEET_GENERATION is 1, but generation 2 has"):
        await generations(state).begin()
    assert await first.is_complete()  # what runs already is not stopped in the middle


async def test_instances_that_begin_at_once_agree(state: FakeContainer) -> None:
    await generations(state, generation=1).begin()
    begun = await asyncio.gather(
        *(generations(state, generation=2 + number % 2).begin() for number in range(6))
    )
    assert not any(generation.complete for generation in begun)
    assert sorted(stored(state)) == ["1", "2", "3"]


async def test_of_instances_with_different_shards_only_one_number_works(state: FakeContainer) -> None:
    results = await asyncio.gather(
        *(generations(state, shards=shards).begin() for shards in (32, 64)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Generation", "SettingsError"]


async def test_what_has_not_begun_cannot_be_complete(state: FakeContainer) -> None:
    with pytest.raises(ValueError, match="generation 1 has not begun"):
        await generations(state).complete()


def test_a_shard_is_of_its_generation_and_within_its_number() -> None:
    shards = {shard_of(f"person {number}", shards=4, generation=7) for number in range(200)}
    assert shards == {"7:0000", "7:0001", "7:0002", "7:0003"}


@pytest.mark.parametrize(("given", "level"), [("debug", "DEBUG"), ("WARNING", "WARNING")])
def test_levels_of_logs(monkeypatch: pytest.MonkeyPatch, given: str, level: str) -> None:
    monkeypatch.setenv("CosmosDb", "AccountEndpoint=https://localhost;AccountKey=a2V5;")
    monkeypatch.setenv("FLEET_LOG_LEVEL", given)
    assert load_settings().log_level == level


def test_a_level_that_does_not_exist_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_LOG_LEVEL", "LOUD")
    with pytest.raises(
        SettingsError, match=r"^The setting FLEET_LOG_LEVEL is not usable: 'LOUD' is not one of .*INFO.*\.$"
    ):
        load_settings()
