"""Publishing: the newest state wins, whoever publishes it and however often."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
import structlog.testing

from shared.aggregates.base import PartialKey
from shared.aggregates.person_month import month_key
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.cosmos import retries
from shared.cosmos.retries import UnavailableError
from shared.errors import GenerationIncompleteError, ReplayError, TransientStaleReadError, UnknownViewError
from shared.ledger.generations import LAYOUT, Generations
from shared.ledger.partials import Partial
from shared.ledger.shards import ShardId, shard_of
from shared.maintenance.replay import Replayer
from shared.poison.store import PoisonStore
from shared.publishing.consent import ConsentKeeper
from shared.publishing.existing import ExistingDocuments
from shared.publishing.merge import StateMerger
from shared.publishing.plan import DocumentKey
from shared.publishing.publisher import Publisher
from shared.publishing.readiness import ViewReadiness
from shared.publishing.report import Outcome
from shared.publishing.writer import ViewWriter
from shared.settings import Settings
from shared.units import Day, month_of
from shared.views import VIEWS
from shared.views.daily_metrics import DailyMetrics
from shared.views.user_analytics import UserAnalytics
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer
from tests.unit.shared.delivery import Faults
from tests.unit.shared.world import World, contents, interaction, no_reference

DAY = PartialKey("day", "2025-08-05")
ANN, MONTH_OF_ANN = PartialKey("person", "ann"), PartialKey("person_month", "202508|ann")
SHARD_OF_ANN = shard_of("ann", shards=Settings().shards, generation=1)


P = TypeVar("P", bound=Publisher)


JANUARY_2026 = 1_767_225_600
"""A beginning of which August 2025 is no whole period: sessions had expired."""


def first_generation(began: int = 0) -> FakeContainer:
    state = FakeContainer("scope")
    known = {"1": {"shards": Settings().shards, "began": began, "complete": True, "layout": LAYOUT}}
    state.items["generations", "generations"] = {
        "id": "generations",
        "scope": "generations",
        "_etag": "1",
        "generations": known,
    }
    return state


class Database:
    def __init__(self) -> None:
        self.containers = {
            "view_state": FakeContainer(),
            "daily_metrics": FakeContainer("date"),
            "user_analytics": FakeContainer("user_id"),
            "poison_messages": FakeContainer("partition_key"),
            "fleet_state": first_generation(),
        }

    def get_container_client(self, name: str) -> Any:
        return self.containers[name]

    def publisher(self) -> Publisher:
        return self.make(Publisher)

    def make(self, kind: type[P]) -> P:
        settings, existing = Settings(), ExistingDocuments(self)  # type: ignore[arg-type]
        return kind(
            merger=StateMerger(self.containers["view_state"], settings),  # type: ignore[arg-type]
            contents=contents(self.containers["view_state"], settings),
            reference=no_reference(),
            existing=existing,
            writer=ViewWriter(self, existing),  # type: ignore[arg-type]
            poison=PoisonStore(self.get_container_client("poison_messages")),
            readiness=self.readiness(),
            consent=ConsentKeeper(self, settings),  # type: ignore[arg-type]
            settings=settings,
        )

    def readiness(self) -> ViewReadiness:
        settings, fleet_state = Settings(), self.get_container_client("fleet_state")
        return ViewReadiness(
            fleet_state,
            settings,
            generations=Generations(fleet_state, settings),
            clock=FakeClock(lambda: datetime(2025, 9, 15, tzinfo=UTC)),
        )

    def replayer(self) -> Replayer:
        poison = PoisonStore(self.get_container_client("poison_messages"))
        ingest: Any = None  # views are not folded
        return Replayer(
            database=self,  # type: ignore[arg-type]
            ingest=ingest,
            publisher=self.publisher(),
            poison=poison,
        )

    def poison(self) -> dict[str, Any]:
        (row,) = self.containers["poison_messages"].items.values()
        return row

    async def count(self, shard: str, interactions: int, revision: int, key: PartialKey = DAY) -> Any:
        """Store a partial and return it as the feed delivers it."""
        state = Tally()
        day = state.part("05") if key.aggregate == "person_month" else state
        day.add("interactions", interactions)
        partial = Partial(ShardId(shard), key, revision, state)
        return await self.get_container_client("view_state").upsert_item(partial.encode())

    def published(self) -> int:
        (document,) = self.containers["daily_metrics"].items.values()
        total: int = document["usage_statistics"]["total_interactions"]
        return total


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "jittered_pause", lambda *_: 0.0)


@pytest.fixture(autouse=True)
def two_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish these alone: whatever other views there are or will be, they are published likewise."""
    for name in VIEWS.keys() - {"daily_metrics", "user_analytics"}:
        monkeypatch.delitem(VIEWS, name)


async def test_shards_are_merged_and_a_repetition_writes_nothing() -> None:
    database = Database()
    changes = [await database.count("1:0000", 2, 1), await database.count("1:0001", 3, 1)]
    publisher = database.publisher()
    assert (await publisher.publish(changes)).published == 1
    assert database.published() == 5
    assert (await publisher.publish(changes)).current == 1
    assert (await database.publisher().publish(changes)).current == 1


async def test_an_older_state_never_overwrites_a_newer_one() -> None:
    database = Database()
    first = await database.count("1:0000", 2, 1)
    second = await database.count("1:0000", 9, 2)
    await database.publisher().publish([second])
    await database.publisher().publish([first])
    assert database.published() == 9


async def test_two_instances_that_each_saw_one_shard_show_both() -> None:
    database = Database()
    one, two = database.publisher(), database.publisher()
    await one.publish([await database.count("1:0000", 1, 1)])
    await two.publish([await database.count("1:0001", 1, 1)])
    await one.publish([await database.count("1:0000", 5, 2)])
    await two.publish([await database.count("1:0001", 6, 2)])
    assert database.published() == 11


async def test_a_delivered_partial_counts_even_if_the_query_does_not_see_it_yet() -> None:
    database = Database()
    delivered = await database.count("1:0000", 4, 3)
    database.containers["view_state"].items.clear()
    await database.publisher().publish([delivered])
    assert database.published() == 4


async def test_other_generations_ledger_pages_and_unpublished_views_are_passed_over() -> None:
    database = Database()
    old = await database.count("2:0000", 4, 3)
    activity = await database.count("1:0000", 4, 3, PartialKey("person", "ann"))
    report = await database.publisher().publish([old, activity, {"kind": "ledger", "id": "x"}])
    assert (report.published, report.current) == (0, 0)
    assert not database.containers["daily_metrics"].items


async def test_one_view_that_cannot_be_rendered_goes_to_poison_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UserAnalytics, "render", _fail)
    database = Database()
    good = await database.count("1:0000", 2, 1)
    bad = await database.count("1:0000", 2, 1, PartialKey("person_month", "202508|ann"))
    report = await database.publisher().publish([bad, good])
    assert (report.published, len(report.poisoned)) == (1, 1)
    row = database.poison()
    assert row["handler"] == "publish_user_analytics"
    assert row["source_partition_key"] == "ann"
    assert row["source_container"] == "view_state"


async def test_an_old_delivery_of_a_person_s_month_is_not_published() -> None:
    database = Database()
    month = PartialKey("person_month", "202508|ann")
    shard = shard_of("ann", shards=Settings().shards, generation=1)
    old = await database.count(shard, 2, 1, month)
    new = await database.count(shard, 3, 2, month)
    assert (await database.publisher().publish([new])).published == 1
    assert (await database.publisher().publish([old])).current == 1
    (document,) = database.containers["user_analytics"].items.values()
    assert document["interaction_metrics"]["total_interactions"] == 3


async def test_a_state_that_went_back_is_visible_and_holds_nothing_up() -> None:
    database = Database()
    await database.publisher().publish([await database.count("1:0000", 9, 7)])
    restored = await database.count("1:0000", 2, 1)
    other = await database.count("1:0000", 1, 1, PartialKey("day", "2025-08-06"))
    report = await database.publisher().publish([restored, other])
    assert (report.published, len(report.poisoned)) == (1, 1)
    row = database.poison()
    assert row["error_type"] == "StaleReadError"


async def test_a_replica_that_lags_brings_nothing_into_poison() -> None:
    database = Database()
    now = int(time.time())
    database.containers["view_state"] = FakeContainer(began=now)
    await database.publisher().publish([await database.count("1:0000", 9, 7)])
    await database.count("1:0000", 2, 1)  # as a replica has it that was written to before
    other = await database.count("1:0001", 1, 1)
    with pytest.raises(TransientStaleReadError):
        await database.publisher().publish([other])
    assert database.containers["poison_messages"].items == {}
    await database.count("1:0000", 9, 7)
    await database.publisher().publish([other])
    assert database.published() == 10


async def test_others_who_publish_all_the_time_bring_nothing_into_poison() -> None:
    database = Database()
    await database.publisher().publish([await database.count("1:0000", 9, 1)])
    shown = database.containers["daily_metrics"]

    def published_meanwhile(operation: str, when: str) -> None:
        if (operation, when) == ("read", "before"):
            (document,) = shown.items.values()
            revision = document["state"]["revision"] + 100
            shown._store(document | {"state": document["state"] | {"revision": revision}})

    shown.fault = published_meanwhile
    with pytest.raises(
        TransientStaleReadError
    ):  # the invocation is repeated, which is what the lease is held for
        await database.publisher().publish([await database.count("1:0000", 10, 2)])
    assert database.containers["poison_messages"].items == {}


async def test_a_view_in_poison_is_replayed_from_the_state_as_it_is_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Database()
    changes = [await database.count("1:0000", 2, 1), await database.count("1:0001", 3, 1)]
    with monkeypatch.context() as broken:
        broken.setattr(DailyMetrics, "render", _fail)
        assert len((await database.publisher().publish(changes)).poisoned) == 1
    row = database.poison()
    assert (row["source_partition_key"], row["attempts"]) == (None, 1)
    await database.count("1:0001", 4, 2)
    settled = await database.replayer().replay(row["id"], by="me")
    assert (settled["status"], database.published()) == ("replayed", 6)


async def test_a_view_that_fails_again_is_not_called_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database()
    monkeypatch.setattr(DailyMetrics, "render", _fail)
    await database.publisher().publish([await database.count("1:0000", 2, 1)])
    row_id = database.poison()["id"]
    with pytest.raises(ReplayError, match=r"failed again: ValueError in test_publisher\.py"):
        await database.replayer().replay(row_id, by="me")
    database.containers["view_state"].items.clear()
    with pytest.raises(ReplayError, match="nothing is counted for it any more"):
        await database.replayer().replay(row_id, by="me")
    assert database.poison()["status"] == "pending"


async def test_a_view_that_is_held_back_is_not_called_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database()
    with monkeypatch.context() as broken:
        broken.setattr(DailyMetrics, "render", _fail)
        await database.publisher().publish([await database.count("1:0000", 2, 1)])
    await database.readiness().hold_back(["daily_metrics"])
    with pytest.raises(ReplayError, match="held back"):
        await database.replayer().replay(database.poison()["id"], by="me")
    assert database.poison()["status"] == "pending"


async def test_a_state_that_kept_being_stale_says_how_often_it_was_tried() -> None:
    database = Database()
    await database.publisher().publish([await database.count("1:0000", 9, 7)])
    await database.publisher().publish([await database.count("1:0000", 2, 1)])
    assert database.poison()["attempts"] == retries.CONFLICT.attempts


async def test_a_document_that_was_rendered_wrongly_is_published_again() -> None:
    database = Database()
    publisher = database.publisher()
    await publisher.publish([await database.count("1:0000", 2, 1)])
    (wrong,) = database.containers["daily_metrics"].items.values()
    wrong["usage_statistics"]["total_interactions"] = 99
    key = DocumentKey("daily_metrics", "2025-08-05")
    report = await publisher.publish_again([key, DocumentKey("daily_metrics", "2025-08-06")])
    assert (report.published, report.absent, database.published()) == (1, 1, 2)
    with pytest.raises(UnknownViewError, match="'monthly' is not a view: daily_metrics"):
        await publisher.publish_again([DocumentKey("monthly", "2025")])


async def test_what_the_database_does_not_answer_is_not_taken_for_an_absence() -> None:
    world = World()
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"))
    await world.publish()
    publisher = await world.publisher()
    world.state.fault = Faults(["refused"])
    (shown,) = world.documents("user_analytics").values()
    month = month_key(month_of(Day("2025-09-12")), shown["user_id"])
    with pytest.raises(UnavailableError):
        await publisher.publish_again([DocumentKey("user_analytics", month)])
    report = await publisher.publish_again([DocumentKey("user_analytics", month)])
    assert (report.published, report.absent) == (1, 0)


def _fail(*_: Any) -> Any:
    raise ValueError("cannot be rendered")


class OneAtATime(Publisher):
    """Publishes nothing, and counts how many do so for one document at once."""

    busy = most = 0

    async def _update_document(self, *_: Any) -> Any:
        self.busy += 1
        self.most = max(self.most, self.busy)
        for _ in range(3):
            await asyncio.sleep(0)
        self.busy -= 1
        return Outcome.CURRENT


async def test_a_document_is_published_once_at_a_time_however_many_wait() -> None:
    database = Database()
    change = await database.count("1:0000", 2, 1)
    publisher = database.make(OneAtATime)

    async def later(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await publisher.publish([change])

    await asyncio.gather(*(later(turns) for turns in range(20)))
    assert publisher.most == 1
    assert not publisher._locks


async def ann(database: Database, revision: int, *, refused: bool, interactions: int = 2) -> list[Any]:
    """Store August and the record of a person; return both as one transaction delivers them."""
    month = await database.count(SHARD_OF_ANN, interactions, revision, MONTH_OF_ANN)
    return [month, await record_of_ann(database, revision, refused=refused)]


async def record_of_ann(database: Database, revision: int, *, refused: bool) -> Any:
    """Store the record of a person whose consent has changed."""
    accounts = {"user_ann": {"f": {"t": 0} | ({"no": True} if refused else {})}}
    record = PersonRecord(accounts=accounts, pending=revision > 1)
    partial = Partial(SHARD_OF_ANN, ANN, revision, record=record)
    return await database.containers["view_state"].upsert_item(partial.encode())


async def test_an_old_delivery_does_not_bring_back_the_document_of_somebody_who_refused() -> None:
    database = Database()
    agreed = await ann(database, 1, refused=False)
    await database.publisher().publish(agreed)
    assert len(database.containers["user_analytics"].items) == 1
    await database.publisher().publish(await ann(database, 2, refused=True))
    assert database.containers["user_analytics"].items == {}
    assert (await database.publisher().publish(agreed)).published == 0
    assert database.containers["user_analytics"].items == {}


async def test_a_delivered_state_is_read_before_a_document_is_created_from_it() -> None:
    database = Database()
    reads = database.containers["view_state"].requests
    publisher = database.publisher()
    consent = "query"  # once more after the write
    for interactions, expected in ((1, ["read", "read", consent]), (2, [consent])):
        month = await database.count(SHARD_OF_ANN, interactions, interactions, MONTH_OF_ANN)
        person = await record_of_ann(database, 1, refused=False)
        reads.clear()
        assert (await publisher.publish([month, person])).published == 1
        assert reads == expected


async def test_a_refusal_that_is_committed_while_a_document_is_written_deletes_it() -> None:
    database = Database()
    changes = await ann(database, 1, refused=False)
    documents, state = database.containers["user_analytics"], database.containers["view_state"]
    refusal = (await record_of_ann(Database(), 2, refused=True)) | {"_ts": 9}

    def refuse(operation: str, when: str) -> None:
        if (operation, when) == ("create", "before"):
            state._store(refusal)

    documents.fault = refuse
    assert (await database.publisher().publish(changes)).published == 1
    assert documents.requests.count("create") == 1
    assert documents.items == {}


async def test_people_are_asked_about_once_for_all_their_documents_that_were_written() -> None:
    database = Database()
    changes = []
    for user_id in ("ann", "bob", "cid"):
        shard = shard_of(user_id, shards=Settings().shards, generation=1)
        month = PartialKey("person_month", f"202508|{user_id}")
        changes.append(await database.count(shard, 2, 1, month))
        changes.append(await database.count(shard, 2, 1, PartialKey("person", user_id)))
    queries = database.containers["view_state"].requests
    queries.clear()
    publisher = database.publisher()
    assert (await publisher.publish(changes)).published == 3
    assert queries.count("query") == 1
    queries.clear()
    assert (await publisher.publish(changes)).current == 3
    assert queries == []


async def test_a_conflict_is_decided_again_from_what_is_published_now() -> None:
    database = Database()
    publisher = database.publisher()
    await publisher.publish([await database.count("1:0000", 2, 1)])
    await database.publisher().publish([await database.count("1:0001", 3, 1)])
    days = database.containers["daily_metrics"]
    days.requests.clear()
    assert (await publisher.publish([await database.count("1:0000", 4, 2)])).published == 1
    assert days.requests == ["replace", "read", "replace"]  # the remembered etag failed
    assert database.published() == 7


async def test_a_document_that_came_back_after_a_refusal_is_taken_away_when_it_is_looked_at_again() -> None:
    database = Database()
    publisher, shown = database.publisher(), database.containers["user_analytics"].items
    await publisher.publish(await ann(database, 1, refused=False))
    before = dict(shown)
    refused = await ann(database, 2, refused=True)
    await publisher.publish(refused)
    assert shown == {}
    shown |= before  # by an instance that read the state before the refusal, and wrote after it
    assert (await publisher.publish(refused)).missed == 1
    assert shown == {}


async def test_a_period_that_the_sources_had_lost_in_part_keeps_its_document_until_a_refusal() -> None:
    database = Database()
    shown = database.containers["user_analytics"].items
    await database.publisher().publish(await ann(database, 1, refused=False))
    before = dict(shown)
    assert before
    database.containers["fleet_state"] = first_generation(began=JANUARY_2026)
    for revision, interactions in ((2, 1), (3, 0)):
        change = await database.count(SHARD_OF_ANN, interactions, revision, MONTH_OF_ANN)
        assert (await database.publisher().publish([change])).published == 0
        assert (
            await database.publisher().publish_again([DocumentKey("user_analytics", "202508|ann")])
        ).held == 1
        assert shown == before
    await database.publisher().publish([await record_of_ann(database, 4, refused=True)])
    assert shown == {}


async def test_a_stale_state_is_read_again_completely() -> None:
    database = Database()
    state, publisher = database.containers["view_state"], database.publisher()
    await database.count("1:0001", 3, 2)
    behind = dict(state.items)
    state.items.clear()  # a replica that lags has nothing yet
    state.write_from(1000)
    await publisher.publish([await database.count("1:0000", 9, 1, PartialKey("day", "2025-08-06"))])
    key = DocumentKey("daily_metrics", "2025-08-05")
    assert (await publisher.publish_documents([key])).absent == 1
    state.items |= behind
    await database.publisher().publish_documents([key])  # another instance, and another replica
    report = await publisher.publish([await database.count("1:0000", 4, 1)])
    assert (report.published, report.poisoned) == (1, [])
    published = database.containers["daily_metrics"].items["2025-08-05", "daily_metrics_20250805"]
    assert published["usage_statistics"]["total_interactions"] == 7


async def test_documents_that_are_held_back_are_counted_and_not_logged_as_published() -> None:
    database = Database()
    await database.readiness().hold_back(["daily_metrics"])
    day = await database.count("1:0000", 2, 1)
    with structlog.testing.capture_logs() as logged:
        report = await database.publisher().publish([day])
    assert (report.held, report.published) == (1, 0)
    assert logged == []
    report = await database.publisher().publish([day, *await ann(database, 1, refused=False)])
    assert (report.held, report.published) == (1, 1)
    assert database.containers["daily_metrics"].items == {}


async def test_a_refusal_that_was_taken_back_before_it_was_followed_deletes_nothing() -> None:
    database = Database()
    await database.publisher().publish(await ann(database, 1, refused=False))
    await database.readiness().hold_back(["user_analytics"])
    refused = await ann(database, 2, refused=True)
    await record_of_ann(database, 3, refused=False)
    report = await database.publisher().publish(refused)
    assert (report.held, report.published) == (1, 0)
    assert len(database.containers["user_analytics"].items) == 1


async def test_nothing_is_published_again_while_the_generation_is_incomplete() -> None:
    database = Database()
    await database.count("1:0000", 2, 1)
    fleet_state = database.containers["fleet_state"]
    (record,) = fleet_state.items.values()
    record["generations"]["1"]["complete"] = False
    with pytest.raises(GenerationIncompleteError, match="Generation 1 has not counted everything yet"):
        await database.publisher().publish_again([DocumentKey("daily_metrics", "2025-08-05")])
    assert database.containers["daily_metrics"].items == {}
    assert (await database.publisher().publish_again([])).published == 0
