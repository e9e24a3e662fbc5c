"""State is recomputed from the ledger alone, while the feeds go on."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest

from shared import aggregates, views
from shared.aggregates.base import Aggregate, Contributions, PartialKey
from shared.cosmos.queries import Query
from shared.cosmos.retries import REBUILD_PASSES
from shared.errors import UnknownViewError
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS, Fact, InteractionFact
from shared.maintenance.rebuild import RebuildReport
from shared.publishing.plan import DocumentKey
from shared.publishing.readiness import ViewReadiness
from shared.publishing.report import PublishReport
from shared.units import Day, Month, days_of_month
from shared.views.base import ClocklessView, Rendered, Schedule, Stamp, States, stamp_fields
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer, Killed
from tests.unit.shared.delivery import Instance
from tests.unit.shared.world import World, interaction

HOUR = "2025-09-12T10:{:02d}:00Z"


async def counted_world() -> World:
    world = World()
    await world.ingest(*(interaction(n, HOUR.format(n), f"user{n % 5}") for n in range(30)))
    await world.ingest(interaction(90, "2025-08-20T10:00:00Z", "user1"))
    session = {"id": "s", "user_id": "user1", "start_time": HOUR.format(1), "end_time": HOUR.format(9)}
    await world.ingest(session, source=USER_SESSIONS)
    incident = {"id": "n", "user_id": "user2", "created_at": HOUR.format(1), "interaction_id": "2"}
    await world.ingest(incident, source=ABUSE_INCIDENTS)
    refusal = {"id": "u", "user_id": "user3", "privacy_settings": {"analytics_consent": False}}
    await world.ingest(refusal, source=USERS)
    return world


async def test_a_sound_state_is_left_as_it_is() -> None:
    world = await counted_world()
    before = copy.deepcopy(world.state.items)
    report = await (await world.rebuilder()).rebuild([])
    assert (report.corrected, report.unfinished, report.shards) == (0, [], 2)
    assert world.state.items == before


async def test_damage_is_repaired_from_the_ledger_alone() -> None:
    world = await counted_world()
    sound = world.states()
    for (shard, name), item in list(world.state.items.items()):
        if item["kind"] != "partial" or item["aggregate"] == "person":
            continue
        match len(name) % 3:
            case 0:
                del world.state.items[shard, name]
            case 1:
                item["state"] = {"sums": {"interactions": 99}}
    assert world.states() != sound
    report = await (await world.rebuilder()).rebuild([])
    assert report.corrected > 0
    assert world.states() == sound
    assert world.documents("daily_metrics")["daily_metrics_20250912"]["usage_statistics"]["active_users"] == 5


async def test_the_feeds_may_go_on_meanwhile() -> None:
    world = await counted_world()
    for item in world.state.items.values():
        if item["kind"] == "partial" and item["aggregate"] in ("day", "person_month"):
            item["state"] = {}
    rebuilder = await world.rebuilder()

    async def traffic() -> None:
        for n in range(30, 60):
            await world.ingest(interaction(n, HOUR.format(n), f"user{n % 7}"))

    report, _ = await asyncio.gather(rebuilder.rebuild([]), traffic())
    assert report.unfinished == []
    again = await rebuilder.rebuild([])
    assert again.corrected == 0
    day = world.documents("daily_metrics")["daily_metrics_20250912"]
    assert day["usage_statistics"]["total_interactions"] == 60


def first_of(query: Query, options: dict[str, Any]) -> str:
    """Return the lowest id that a rebuild asks a shard for, ``""`` for other queries."""
    match query.name:
        case "documents_between":
            return str(options["parameters"][0]["value"])
        case "persons_of_shard":
            return "partial|person|"
        case _:
            return ""


class MovingContainer(FakeContainer):
    """Reads what a rebuild asks for one by one, and lets something happen after the first of a kind."""

    one_by_one: tuple[str, ...] = ("ledger|",)
    """Beginnings of the ids that are read one by one."""
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def query_items(self, query: Query, **options: Any) -> AsyncIterator[Any]:
        if not first_of(query, options).startswith(self.one_by_one):
            async for item in super().query_items(query, **options):
                yield item
            return
        for key in sorted(self.items):
            if key[0] != options["partition_key"]:
                continue
            found = super().query_items(query, **options)  # as it stands by now
            for item in [item async for item in found if item["id"] == key[1]]:
                yield item
                # A person is done with, and what is derived from them may come later.
                if item.get("aggregate") in (None, "person"):
                    happens, self.meanwhile = self.meanwhile, None
                    if happens is not None:
                        await happens()


@pytest.mark.parametrize(("first", "corrected"), [("12", "10"), ("10", "12")])
async def test_what_goes_to_another_page_meanwhile_is_counted_once(first: str, corrected: str) -> None:
    world = World()
    world.state = world.containers["view_state"] = MovingContainer()
    world.folding = Instance(world.state)
    moving = {"id": "n", "user_id": "ann", "created_at": f"2025-09-12T{first}:00:00Z"}
    others = [
        {"id": f"o{hour}", "user_id": "ann", "created_at": f"2025-09-12T{hour}:00:00Z"} for hour in (10, 12)
    ]
    await world.ingest(moving, *others, source=ABUSE_INCIDENTS)
    sound = world.states()

    async def correct() -> None:
        await world.ingest(moving | {"created_at": f"2025-09-12T{corrected}:00:00Z"}, source=ABUSE_INCIDENTS)

    world.state.meanwhile = correct
    await (await world.rebuilder()).rebuild([])
    assert world.state.meanwhile is None
    assert world.states() == sound


async def test_who_comes_back_while_partials_are_read_is_counted_as_they_are() -> None:
    world = World()
    container = world.state = world.containers["view_state"] = MovingContainer()
    container.one_by_one = ("partial|",)
    world.folding = Instance(container)
    await world.ingest(interaction(1, "2025-07-01T10:00:00Z"))

    async def come_back() -> None:
        await world.ingest(interaction(2, "2025-09-12T10:00:00Z"))

    container.meanwhile = come_back
    await (await world.rebuilder()).rebuild([])
    assert container.meanwhile is None
    expected = World()
    await expected.ingest(interaction(1, "2025-07-01T10:00:00Z"), interaction(2, "2025-09-12T10:00:00Z"))
    assert world.states() == expected.states()


def damage(world: World) -> None:
    """Empty the counts of all days, and what the feeds remember of them."""
    for item in world.state.items.values():
        if item["kind"] == "partial" and item["aggregate"] == "day":
            item["state"] = {}
    world.folding = Instance(world.state)


async def test_a_shard_that_changes_once_during_a_pass_is_finished_by_the_next() -> None:
    world = World()
    container = world.state = world.containers["view_state"] = MovingContainer()
    world.folding = Instance(container)
    await world.ingest(interaction(1, HOUR.format(1)))
    damage(world)

    async def one_more() -> None:
        await world.ingest(interaction(2, HOUR.format(2)))

    container.meanwhile = one_more
    report = await (await world.rebuilder()).rebuild([])
    assert container.meanwhile is None
    assert (report.unfinished, report.shards, report.corrected) == ([], 2, 1)
    day = world.documents("daily_metrics")["daily_metrics_20250912"]
    assert day["usage_statistics"]["total_interactions"] == 2


class BusyContainer(FakeContainer):
    """Has every partial of a shard written again as soon as a rebuild has read a month of interactions."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: Counter[str] = Counter()

    async def query_items(self, query: Query, **options: Any) -> AsyncIterator[Any]:
        async for item in super().query_items(query, **options):
            yield item
        if first_of(query, options).startswith("ledger|user_interactions"):
            shard = options["partition_key"]
            self.passes[shard] += 1
            for (of_shard, _), item in list(self.items.items()):
                if of_shard == shard and item["kind"] == "partial":
                    self._store(item)


async def test_a_shard_that_always_changes_is_reported_and_its_views_stay_held_back() -> None:
    world = World()
    container = world.state = world.containers["view_state"] = BusyContainer()
    world.folding = Instance(container)
    await world.ingest(interaction(1, HOUR.format(1)))
    damage(world)
    (shard,) = {shard for shard, _ in container.items}
    report = await (await world.rebuilder()).rebuild(["daily_metrics"])
    assert (report.unfinished, report.shards, report.corrected) == ([shard], 1, 0)
    assert container.passes[shard] == REBUILD_PASSES > 1
    assert world.documents("daily_metrics") == {}
    assert "daily_metrics" not in await (await world.readiness()).ready()


async def test_readers_keep_the_old_figures_until_the_new_ones_are_complete() -> None:
    world = await counted_world()
    publisher = await world.publisher()
    await world.publish(publisher)
    seen: list[int] = []

    def look(_report: RebuildReport, _shards: int) -> None:
        day = world.documents("daily_metrics")["daily_metrics_20250912"]
        seen.append(day["usage_statistics"]["total_interactions"])

    for item in world.state.items.values():
        if item["kind"] == "partial" and item["aggregate"] == "day":
            item["state"] = {}
            item["revision"] += 1
    rebuilder = await world.rebuilder()
    readiness = await world.readiness()
    await readiness.hold_back(["daily_metrics"])
    fresh = await world.publisher()
    report = await fresh.publish(list(world.state.items.values()))
    assert report.held > 0
    await rebuilder.rebuild(["daily_metrics"], look)
    assert seen == [30, 30]
    assert "daily_metrics" in await (await world.readiness()).ready()


async def test_what_changes_while_a_rebuild_publishes_is_held_back_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, pause, clock = await counted_world(), 7.0, [0.0]
    rebuilder, sleep = await world.rebuilder(), asyncio.sleep
    monkeypatch.setattr(rebuilder, "_pause", pause)

    async def elapse(seconds: float) -> None:
        clock[0] += seconds
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", elapse)
    other = await world.publisher()
    other._readiness = ViewReadiness(
        world.containers["fleet_state"],
        world.settings,
        generations=await world.generations(),
        clock=FakeClock(lambda: clock[0]),
    )
    publish_again = rebuilder._publisher.publish_again

    async def and_then_it_changes(documents: Iterable[DocumentKey]) -> PublishReport:
        report = await publish_again(documents)
        await world.ingest(interaction(31, HOUR.format(31)))
        await world.publish(other)
        return report

    monkeypatch.setattr(rebuilder._publisher, "publish_again", and_then_it_changes)

    def look(_report: RebuildReport, _shards: int) -> None:
        tasks.append(asyncio.ensure_future(world.publish(other)))

    tasks: list[Any] = []
    await rebuilder.rebuild(["daily_metrics"], look)
    await asyncio.gather(*tasks)
    day = world.documents("daily_metrics")["daily_metrics_20250912"]
    assert day["usage_statistics"]["total_interactions"] == 31


async def test_a_rebuild_that_dies_while_it_publishes_leaves_the_view_marked_until_one_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await counted_world()
    rebuilder, readiness = await world.rebuilder(), await world.readiness()

    async def die(_documents: Iterable[DocumentKey]) -> PublishReport:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(rebuilder._publisher, "publish_again", die)
        with pytest.raises(Killed):
            await rebuilder.rebuild(["daily_metrics"])
    assert await readiness.unpublished() == {"daily_metrics"}
    assert "daily_metrics" in await readiness.ready()
    await rebuilder.rebuild(["daily_metrics"])
    assert await readiness.unpublished() == set()


async def test_a_rebuild_that_is_broken_off_holds_the_views_back_until_one_ends() -> None:
    world = await counted_world()
    rebuilder = await world.rebuilder()

    def stop(_report: RebuildReport, _shards: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        await rebuilder.rebuild(["daily_metrics"], stop)
    assert "daily_metrics" not in await (await world.readiness()).ready()
    await world.publish()
    assert world.documents("daily_metrics") == {}
    await (await world.rebuilder()).rebuild(["daily_metrics"])
    assert len(world.documents("daily_metrics")) == 2


async def test_a_view_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownViewError, match="'nothing' is not a view: daily_metrics"):
        await (await World().rebuilder()).rebuild(["nothing"])


class PersonaMonth(Aggregate):
    """An aggregate that a later release adds: interactions by persona and month."""

    name = "persona_month"
    source = USER_INTERACTIONS
    max_bytes = 10_000

    def first_day(self, key: str) -> Day:
        return days_of_month(Month(key[:6]))[0]

    def contribute(self, fact: Fact, into: Contributions) -> None:
        if isinstance(fact, InteractionFact):
            into.partial(self.name, f"{fact.month}|{fact.persona}").add("interactions", 1)


class PersonaReport(ClocklessView):
    """A view that a later release adds."""

    name = "persona_report"
    example = "202508|krishna"
    container = "daily_metrics"
    sources = frozenset({"user_interactions"})
    schedule = Schedule.LIVE

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        return (target.key,) if target.aggregate == PersonaMonth.name else ()

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        return (PartialKey(PersonaMonth.name, key),)

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        count = states.of(PersonaMonth.name, key).total("interactions")
        body: dict[str, Any] = {
            "id": f"report_{key.replace('|', '_')}", "date": key, "interactions": count, "_ttl": None
        }  # fmt: skip
        return [Rendered(body["id"], key, body | stamp_fields(stamp))]


async def test_a_view_that_a_later_release_adds_is_held_back_until_it_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = await counted_world()
    await world.publish()  # the release before: it knows its own views
    monkeypatch.setitem(aggregates.AGGREGATES, PersonaMonth.name, PersonaMonth())
    monkeypatch.setitem(views.VIEWS, PersonaReport.name, PersonaReport())
    await world.ingest(interaction(99, HOUR.format(59)))
    await world.publish()
    report_id = "report_202509_krishna"
    assert report_id not in world.documents("daily_metrics")
    await (await world.rebuilder()).rebuild(["persona_report"])
    assert world.documents("daily_metrics")[report_id]["interactions"] == 31
    await world.ingest(interaction(100, HOUR.format(58)))
    await world.publish()
    assert world.documents("daily_metrics")[report_id]["interactions"] == 32
