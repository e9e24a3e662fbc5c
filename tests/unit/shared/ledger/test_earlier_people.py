"""First people: carried over from what the present and the earlier layout of the state know of a person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import PersonRecord
from shared.aggregates.tally import Tally
from shared.facts import USERS, ConsentFact
from shared.ledger.accounts import new_record
from shared.ledger.changes import Change, Verdict
from shared.ledger.document_version import Version, VersionOrder
from shared.ledger.earlier_people import (
    EarlierPeople,
    EarlierPerson,
    address_of,
    earlier_person,
    with_registered,
)
from shared.ledger.generations import FIRST_LAYOUT, LAYOUT, Generation, Generations
from shared.ledger.known_accounts import KnownAccount
from shared.ledger.partials import Partial
from shared.ledger.people_register import RegisteredPerson
from shared.ledger.shards import ShardId, shard_of
from shared.settings import Settings
from shared.units import Day, Millis, month_of
from tests.data import release_1
from tests.fakes import FakeContainer
from tests.unit.shared.ledger.memory_shard import MemoryShard
from tests.unit.shared.world import World, interaction

days = st.dates().map(lambda day: Day(day.isoformat()))

FORGOTTEN = {
    "479d0e6a": "2024-07-04",
    "3d0cc84d": "2024-06-19",
    "9eead1f3": "2024-06-23",
    "0742b60f": "2024-06-28",
    "72ca5adf": "2024-07-18",
    "e31649f1": "2024-06-20",
    "1970c0a6": "2024-06-27",
    "6334a229": "2024-08-01",
    "e3bb91a6": "2024-06-22",
    "f7719c2b": "2024-07-09",
}
"""First people by the start of the user id, of people whose first interactions the sources hold no more."""


async def moved() -> tuple[FakeContainer, EarlierPeople]:
    """Return the state that the earlier release left, and what reads it for the second generation."""
    state, fleet_state = FakeContainer(), FakeContainer("scope")
    for container, key, name in ((state, "shard", "view_state"), (fleet_state, "scope", "fleet_state")):
        for document in release_1.documents()[name]:
            container.items[document[key], document["id"]] = document
    second: Any = Generations(fleet_state, Settings(FLEET_GENERATION=2))  # type: ignore[arg-type]
    return state, EarlierPeople(state, second)  # type: ignore[arg-type]


async def test_everybody_whom_the_earlier_release_knew_keeps_their_first_visit() -> None:
    state, people = await moved()
    first_held: dict[str, str] = {}
    for document in release_1.documents()["user_interactions"]:
        if isinstance(document.get("user_id"), str):
            day = document["timestamp"][:10]
            first_held[document["user_id"]] = min(day, first_held.get(document["user_id"], day))
    earlier = await people.find(first_held)
    found = {user: each.first_day for user, each in earlier.items() if each.first_day is not None}
    assert found.keys() == first_held.keys()
    assert all(found[user] <= day for user, day in first_held.items())
    forgotten = {user[:8]: day for user, day in found.items() if day < first_held[user]}
    assert forgotten == FORGOTTEN
    assert state.requests.count("read") == len(first_held)


async def test_whom_the_earlier_release_did_not_know_has_none() -> None:
    _, people = await moved()
    assert await people.find(["stranger", "अर्जुन"]) == {}


async def test_without_an_earlier_generation_nobody_is_looked_for() -> None:
    state, fleet_state = FakeContainer(), FakeContainer("scope")
    first: Any = Generations(fleet_state, Settings())  # type: ignore[arg-type]
    await first.begin()
    people = EarlierPeople(state, first)  # type: ignore[arg-type]
    assert await people.find(["ann"]) == await people.find(["bob"]) == {}
    assert state.requests == []
    assert fleet_state.requests.count("read") == 3  # two to begin, one here


async def test_a_generation_that_never_completed_tells_no_first_visit_and_yet_is_asked() -> None:
    fleet_state = FakeContainer("scope")
    for number in (1, 2, 3):
        await Generations(fleet_state, Settings(FLEET_GENERATION=number, FLEET_SHARDS=number)).begin()  # type: ignore[arg-type]
    third: Any = Generations(fleet_state, Settings(FLEET_GENERATION=3, FLEET_SHARDS=3))  # type: ignore[arg-type]
    others = await third.others()
    assert {number: one.shards for number, one in others.items()} == {1: 1, 2: 2}
    assert third.latest_before(others) == 1


@given(st.sets(days), st.none() | days)
def test_this_layout_knows_active_days_and_what_it_was_told_itself(
    active: set[Day], told: Day | None
) -> None:
    state = Tally()
    for day in active:
        state.part(month_of(day)).count("days", day[8:])
    partial = Partial(ShardId("2:0000"), PartialKey("person", "ann"), 1, state, record=PersonRecord(told))
    known = active | ({told} if told else set())
    assert earlier_person(partial.encode(), LAYOUT).first_day == min(known, default=None)


@pytest.mark.parametrize("user_id", ["ann", "a|b", "अर्जुन", "x" * 300, "a|अ"])
def test_a_person_is_found_where_each_layout_stores_them(user_id: str) -> None:
    this = Partial(ShardId("2:0000"), PartialKey("person", user_id))
    assert address_of(user_id, 2, Generation(8, 0, True)) == (
        shard_of(user_id, shards=8, generation=2),
        this.id,
    )
    shard, document_id = address_of(user_id, 1, Generation(16, 0, True, layout=1))
    assert shard == shard_of(user_id, shards=16, generation=1)
    hashed = document_id.startswith("partial|person|~")
    assert hashed == (not user_id.isascii() or len(user_id) > 200)
    assert hashed or document_id == f"partial|person|{user_id}"


ACCOUNTS = ("u", "v", "w")
answers = st.sampled_from([True, False, None, "cannot be read"])


def account(document_id: str, consent: object, write: int) -> dict[str, Any]:
    stamp = {"_ts": write, "_etag": f'"{write}"'}
    return {"id": document_id, "user_id": "ann", "analytics_consent": consent} | stamp


@given(
    first=st.dictionaries(st.sampled_from(ACCOUNTS), answers),
    deleted=st.sets(st.sampled_from(ACCOUNTS)),
    changed=st.dictionaries(st.sampled_from(ACCOUNTS), answers),
    generations=st.integers(1, 3),
)
def test_who_refused_refuses_in_every_later_generation_until_the_account_itself_says_otherwise(
    first: dict[str, Any], deleted: set[str], changed: dict[str, Any], generations: int
) -> None:
    """A deletion is not told by the feed. So the generation before goes on as if the account were there."""
    answered = dict(first)
    record = new_record("ann", [account(name, consent, 1) for name, consent in first.items()])
    live = {name: consent for name, consent in first.items() if name not in deleted}
    for number in range(generations):
        partial = Partial(ShardId("1:0000"), PartialKey("person", "ann"), 1, Tally(), record=record)
        if number == 0:
            live, answered = live | changed, answered | changed
        stored = [account(name, consent, 2) for name, consent in live.items()]
        record = new_record("ann", stored, earlier_person(partial.encode(), LAYOUT))
        assert record.refused == any(each not in (True, None) for each in answered.values())
        assert record.pending == record.refused


def test_an_account_that_comes_back_with_a_consent_ends_the_refusal() -> None:
    before = Partial(
        ShardId("1:0000"), PartialKey("person", "ann"), 1, record=new_record("ann", [account("u", False, 1)])
    )
    record = new_record("ann", [], earlier_person(before.encode(), LAYOUT))
    assert record.refused
    shard = MemoryShard({"ann": record})
    consent = ConsentFact(user_id="ann", at=Millis(0))
    live = Change("ann", "u", Version(4, None, '"4"'), consent, live=True)
    assert shard.fold(live, source=USERS) == [Verdict.REPLACED]
    assert not shard.record("ann").refused


@pytest.mark.parametrize(("stored", "refused"), [([], True), ([account("u", True, 1)], False)])
def test_the_first_layout_knows_that_an_account_refused_and_not_which(
    stored: list[dict[str, Any]], refused: bool
) -> None:
    earlier = earlier_person({"state": {"days": {"2024-06-28": 1}, "sums": {"refused": 1}}}, FIRST_LAYOUT)
    assert earlier == EarlierPerson(Day("2024-06-28"), has_unnamed_refusal=True)
    assert new_record("ann", stored, earlier).refused is refused


@pytest.mark.parametrize("status", ["deleted", "active"])
async def test_who_refused_before_their_account_was_deleted_is_not_published_by_the_next_generation(
    status: str,
) -> None:
    world = World()
    fleet = await world.fleet()
    users = world.containers["users"]
    await users.upsert_item({"id": "user_ann", "user_id": "ann", "account_status": status})
    visit = interaction(1, "2025-09-01T10:00:00Z")
    stamp = {"_ts": 1_756_720_000, "_lsn": 1, "_etag": '"1"'}
    await fleet.ingest.ingest_batch("user_interactions", [visit | stamp])
    await users.delete_item("user_ann", "ann")
    world.settings = Settings(FLEET_SHARDS=2, FLEET_GENERATION=2)
    second = await world.fleet()
    await second.ingest.ingest_batch("user_interactions", [visit | stamp])
    await second.generations.complete()
    await second.publisher.publish(
        [each for each in world.state.items.values() if each["shard"].startswith("2:")]
    )
    assert bool(world.documents("user_analytics")) == (status == "active")


def state_of(world: World, generation: int) -> list[Any]:
    """Return the state of a generation."""
    return [each for each in world.state.items.values() if each["shard"].startswith(f"{generation}:")]


async def deliver(world: World, source: str, document: dict[str, Any], *, complete: bool = True) -> None:
    """Deliver a document to the generation that the settings name, and publish it if that is complete."""
    fleet = await world.fleet()
    await fleet.ingest.ingest_batch(source, [document])
    if complete:
        await fleet.generations.complete()
    await fleet.publisher.publish(state_of(world, world.settings.generation))


ACCOUNT = {"id": "user_ann", "user_id": "ann"}
VISIT = interaction(1, "2025-09-01T10:00:00Z") | {"_ts": 1_756_720_000, "_lsn": 1, "_etag": '"1"'}


def at(generation: int) -> Settings:
    return Settings(FLEET_SHARDS=2, FLEET_GENERATION=generation)


@pytest.mark.parametrize(
    ("path", "knowing"),
    [
        ([(1, True), (2, False), (3, True)], 2),  # never completed
        ([(1, True), (2, True), (3, True)], 1),  # the second never had a document of the person
        ([(1, True), (2, False), (1, True)], 2),  # back to a generation without state of the person
    ],
)
async def test_a_refusal_stays_known_whatever_generation_counted_it(
    path: list[tuple[int, bool]], knowing: int
) -> None:
    world = World()
    users = world.containers["users"]
    for number, complete in path[:-1]:
        world.settings = at(number)
        fleet = await world.fleet()
        if number == knowing:
            await users.upsert_item(ACCOUNT | {"analytics_consent": False})
            await fleet.ingest.ingest_batch("user_interactions", [VISIT])
            await users.delete_item("user_ann", "ann")
        if complete:
            await fleet.generations.complete()
    world.settings = at(path[-1][0])
    await deliver(world, "user_interactions", VISIT)
    await deliver(world, "user_interactions", VISIT | {"id": "another", "user_id": "ben"})
    assert {each["user_id"] for each in world.documents("user_analytics").values()} == {"ben"}


versions = st.builds(Version, st.integers(1, 4), st.none() | st.integers(1, 4), st.sampled_from("abcd"))


@given(versions, versions, st.booleans())
def test_a_consent_counts_only_if_it_is_clearly_not_older_than_the_refusal(
    first: Version, second: Version, first_refused: bool
) -> None:
    """The first is that of the earlier generation, the second that of the register."""
    known = with_registered(
        EarlierPerson(accounts={"u": KnownAccount(first, first_refused)}),
        RegisteredPerson(accounts={"u": KnownAccount(second, not first_refused)}),
    )
    order = second.order_against(first)
    is_unclear = order is VersionOrder.UNKNOWN
    if first_refused:
        consents = order in (VersionOrder.NEWER, VersionOrder.SAME) or (is_unclear and second.ts > first.ts)
    else:
        consents = order is VersionOrder.OLDER or (is_unclear and second.ts < first.ts)
    assert known.refused is not consents


@pytest.mark.parametrize("consents", [True, False])
@pytest.mark.parametrize("registered", [4, 5])
def test_of_an_account_the_newer_version_decides_whoever_knows_it(consents: bool, registered: int) -> None:
    newer, older = (
        KnownAccount(Version(5, 5, '"5"'), not consents),
        KnownAccount(Version(4, 4, '"4"'), consents),
    )
    first, second = (older, newer) if registered == 5 else (newer, older)
    known = with_registered(EarlierPerson(accounts={"u": first}), RegisteredPerson(accounts={"u": second}))
    assert known.refused is not consents


@pytest.mark.parametrize("refuses", ["account", "visit"])
async def test_a_refusal_reaches_a_generation_that_is_set_again(refuses: str) -> None:
    """The first generation has state of the person, who refused and whose account was deleted meanwhile."""
    world = World()
    users = world.containers["users"]
    await users.upsert_item(ACCOUNT)
    await deliver(world, "user_interactions", VISIT)
    assert world.documents("user_analytics")
    world.settings = at(2)
    second = await world.fleet()
    if refuses == "account":
        await second.ingest.ingest_batch("user_interactions", [VISIT])
    await users.upsert_item(ACCOUNT | {"analytics_consent": False})
    await second.ingest.ingest_batch("users", [users.items["ann", "user_ann"] | {"_lsn": 2}])
    await users.delete_item("user_ann", "ann")
    world.settings = at(1)
    await deliver(world, "user_interactions", VISIT | {"id": "later", "_etag": '"2"'})
    assert not world.documents("user_analytics")


def test_accounts_without_room_refuse_in_a_new_generation_only_while_no_account_exists() -> None:
    record = new_record("ann", [account(f"a{number:03}", True, 1) for number in range(101)])
    before = Partial(ShardId("1:0000"), PartialKey("person", "ann"), 1, record=record)
    earlier = earlier_person(before.encode(), LAYOUT)
    assert record.refused
    assert new_record("ann", [], earlier).refused
    assert not new_record("ann", [account("a000", True, 1)], earlier).refused
