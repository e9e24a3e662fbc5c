"""Following a person's record: everything published about them is deleted, or published again."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from shared.aggregates.base import PartialKey
from shared.errors import TransientStaleReadError
from shared.facts import USERS
from shared.ledger.partials import partial_id
from shared.ledger.shards import shard_of
from shared.publishing.consent import USER_LEVEL_CONTAINERS
from shared.publishing.publisher import Publisher
from shared.settings import Settings
from shared.views import VIEWS
from tests.unit.shared.delivery import Document, Instance
from tests.unit.shared.world import SHARDS, World, interaction

ALL_PERIODS = {
    f"user_analytics_ann_{period}"
    for period in (
        "202508", "202509", "20250830", "20250912", "2025W35", "2025W37", "2025Q3",
    )
}  # fmt: skip


def consent(given: bool) -> Document:
    return {"id": "user_ann", "user_id": "ann", "privacy_settings": {"analytics_consent": given}}


def person(world: World) -> Document:
    """Return the stored person as it is, with the record."""
    shard = shard_of("ann", shards=SHARDS, generation=world.settings.generation)
    found: Document = world.state.items[shard, partial_id(PartialKey("person", "ann"))]
    return found


def is_pending(world: World) -> bool:
    return bool(person(world)["record"].get("pending"))


def published(world: World) -> set[str]:
    return set(world.documents("user_analytics"))


async def active() -> tuple[World, Publisher]:
    """Return a world in which everything about two people is published."""
    world = World()
    await world.ingest(interaction(1, "2025-08-30T10:00:00Z"), interaction(2, "2025-09-12T10:00:00Z"))
    publisher = await world.publisher()
    await world.publish(publisher)
    await (await world.scheduled()).publish_due(everything=True)
    assert published(world) == ALL_PERIODS
    return world, publisher


async def test_a_refusal_deletes_everything_and_clears_the_mark() -> None:
    world, publisher = await active()
    await world.ingest(consent(False), source=USERS)
    assert is_pending(world)
    await publisher.follow_record("ann")
    assert published(world) == set()
    assert (person(world)["record"]["refused"], is_pending(world)) == (True, False)


async def test_a_refusal_deletes_what_no_view_of_today_would_render() -> None:
    world, publisher = await active()
    for name in USER_LEVEL_CONTAINERS:
        for user_id in ("ann", "bob"):
            world.containers[name]._store({"id": "of an earlier release", "user_id": user_id})
    await world.ingest(consent(False), source=USERS)
    await publisher.follow_record("ann")
    for name in USER_LEVEL_CONTAINERS:
        assert [user_id for user_id, _ in world.containers[name].items] == ["bob"]


async def test_a_refusal_is_followed_while_views_are_held_back() -> None:
    world, publisher = await active()
    await (await world.readiness()).hold_back(VIEWS)
    await world.ingest(consent(False), source=USERS)
    await publisher.follow_record("ann")
    assert published(world) == set()


async def test_a_refusal_is_followed_while_the_generation_is_incomplete() -> None:
    world, _ = await active()
    world.settings = Settings(FLEET_SHARDS=SHARDS, FLEET_GENERATION=2)
    world.folding = Instance(world.state, generation=2)
    await world.ingest(interaction(1, "2025-08-30T10:00:00Z"))
    await world.ingest(consent(False), source=USERS)
    await (await world.publisher()).follow_record("ann")
    assert published(world) == set()


async def test_an_agreement_publishes_all_periods_again() -> None:
    world, publisher = await active()
    for given in (False, True):
        await world.ingest(consent(given), source=USERS)
        await publisher.follow_record("ann")
    assert published(world) == ALL_PERIODS
    assert not is_pending(world)


async def test_a_first_visit_that_turns_out_to_be_earlier_changes_later_months() -> None:
    world, publisher = await active()

    def tiers() -> list[str]:
        documents = world.documents("user_analytics")
        return [
            documents[f"user_analytics_ann_{m}"]["user_profile"]["user_tier"] for m in ("202508", "202509")
        ]

    assert tiers() == ["new", "casual"]
    await world.ingest(interaction(3, "2025-07-01T10:00:00Z"))
    assert is_pending(world)
    await publisher.follow_record("ann")
    assert tiers() == ["casual", "casual"]
    assert not is_pending(world)


async def test_a_record_that_is_not_pending_costs_one_read() -> None:
    world, publisher = await active()
    world.state.requests.clear()
    await publisher.follow_record("ann")
    await publisher.follow_record("nobody")
    assert world.state.requests == ["read", "read"]


@pytest.mark.parametrize("given", [False, True], ids=["refused", "agreed"])
async def test_a_record_that_changes_meanwhile_stays_pending_and_is_followed_again(given: bool) -> None:
    world, publisher = await active()
    if given:  # so that there is something to publish again
        await world.ingest(consent(False), source=USERS)
        await publisher.follow_record("ann")
    await world.ingest(consent(given), source=USERS)
    changes = _Once(world, person(world))
    world.containers["user_analytics"].fault = changes
    await publisher.follow_record("ann")
    assert changes.happened
    assert is_pending(world)
    world.containers["user_analytics"].fault = lambda *_: None
    await publisher.follow_record("ann")
    assert not is_pending(world)
    assert published(world) == (set() if given else ALL_PERIODS)


class _Once:
    """A fault that changes the person's consent the other way, at the first write of a document."""

    def __init__(self, world: World, item: Document) -> None:
        self._world = world
        self._item = item
        self.happened = False

    def __call__(self, operation: str, when: str) -> None:
        if self.happened or when == "after" or operation not in ("create", "delete"):
            return
        self.happened = True
        record: dict[str, Any] = dict(self._item["record"])
        refused = not record.pop("refused", False)
        (account,) = record["accounts"].values()
        fact = {key: value for key, value in account["f"].items() if key != "no"} | (
            {"no": True} if refused else {}
        )
        record |= {"accounts": {"user_ann": account | {"f": fact}}, "pending": True}
        record |= {"refused": True} if refused else {}
        changed = self._item | {"record": record, "revision": self._item["revision"] + 1}
        self._world.state._store(changed)


async def test_a_refusal_that_a_replica_lacks_is_followed_when_it_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, publisher = await active()
    lagging = copy.deepcopy(person(world))
    await world.ingest(consent(False), source=USERS)
    delivered = [person(world)]
    with monkeypatch.context() as lag:

        async def read(*_: Any, **__: Any) -> Document:
            return lagging

        lag.setattr(world.state, "read_item", read)
        with pytest.raises(TransientStaleReadError):
            await publisher.publish(delivered)
        world.now += timedelta(hours=1)  # no replica lags for so long: the record has ended
        await publisher.publish(delivered)
        assert published(world) == ALL_PERIODS
        world.now -= timedelta(hours=1)
    await publisher.publish(delivered)
    assert published(world) == set()
    assert not is_pending(world)
