"""Publishing: the newest state wins, whoever publishes it and however often."""

from __future__ import annotations

from typing import Any

import pytest

from shared import cosmos
from shared.aggregates.base import PartialKey
from shared.ledger import Partial
from shared.poison import PoisonStore
from shared.publishing import Publisher
from shared.settings import Settings
from shared.shards import ShardId, shard_of
from shared.tally import Tally
from tests.fakes import FakeContainer

DAY = PartialKey("day", "2025-08-05")


class Database:
    def __init__(self) -> None:
        self.containers = {
            "view_state": FakeContainer(),
            "daily_metrics": FakeContainer("date"),
            "user_analytics": FakeContainer("user_id"),
            "poison_messages": FakeContainer("partition_key"),
        }

    def get_container_client(self, name: str) -> Any:
        return self.containers[name]

    def publisher(self) -> Publisher:
        poison = PoisonStore(self.get_container_client("poison_messages"))
        return Publisher(database=self, poison=poison, settings=Settings())  # type: ignore[arg-type]

    async def count(self, shard: str, interactions: int, revision: int, key: PartialKey = DAY) -> Any:
        """Store a partial and return it as the feed delivers it."""
        part = "05:" if key.aggregate == "person_month" else ""
        state = Tally({f"{part}sums": {"interactions": interactions}}) if interactions else Tally()
        partial = Partial(ShardId(shard), key, revision, state)
        return await self.get_container_client("view_state").upsert_item(partial.encode())

    def shown(self) -> int:
        (document,) = self.containers["daily_metrics"].items.values()
        total: int = document["usage_statistics"]["total_interactions"]
        return total


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosmos, "_BACKOFF", lambda _state: 0.0)


async def test_shards_are_merged_and_a_repetition_writes_nothing() -> None:
    database = Database()
    changes = [await database.count("1:0000", 2, 1), await database.count("1:0001", 3, 1)]
    publisher = database.publisher()
    assert (await publisher.publish(changes)).published == 1
    assert database.shown() == 5
    assert (await publisher.publish(changes)).current == 1
    assert (await database.publisher().publish(changes)).current == 1


async def test_an_older_state_never_overwrites_a_newer_one() -> None:
    database = Database()
    first = await database.count("1:0000", 2, 1)
    second = await database.count("1:0000", 9, 2)
    await database.publisher().publish([second])
    await database.publisher().publish([first])
    assert database.shown() == 9


async def test_two_instances_that_each_saw_one_shard_show_both() -> None:
    database = Database()
    one, two = database.publisher(), database.publisher()
    await one.publish([await database.count("1:0000", 1, 1)])
    await two.publish([await database.count("1:0001", 1, 1)])
    await one.publish([await database.count("1:0000", 5, 2)])
    await two.publish([await database.count("1:0001", 6, 2)])
    assert database.shown() == 11


async def test_a_delivered_partial_counts_even_if_the_query_does_not_see_it_yet() -> None:
    database = Database()
    delivered = await database.count("1:0000", 4, 3)
    database.containers["view_state"].items.clear()
    await database.publisher().publish([delivered])
    assert database.shown() == 4


async def test_other_generations_ledger_pages_and_unpublished_views_are_passed_over() -> None:
    database = Database()
    old = await database.count("2:0000", 4, 3)
    activity = await database.count("1:0000", 4, 3, PartialKey("person", "ann"))
    report = await database.publisher().publish([old, activity, {"kind": "ledger", "id": "x"}])
    assert (report.published, report.current) == (0, 0)
    assert not database.containers["daily_metrics"].items


async def test_one_view_that_cannot_be_rendered_goes_to_poison_alone() -> None:
    database = Database()
    good = await database.count("1:0000", 2, 1)
    bad = await database.count("1:0000", 2, 1, PartialKey("person_month", "no-month|ann"))
    report = await database.publisher().publish([bad, good])
    assert (report.published, report.poisoned) == (1, 1)
    (row,) = database.containers["poison_messages"].items.values()
    assert row["handler"] == "publish_user_analytics"
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
    assert (report.published, report.poisoned) == (1, 1)
    (row,) = database.containers["poison_messages"].items.values()
    assert row["error_type"] == "StaleReadError"
