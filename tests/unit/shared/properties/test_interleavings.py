"""What another instance does between any two operations of this one changes nothing about the outcome."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from shared.errors import TransientStaleReadError
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USERS
from shared.ingest.sources import SOURCES
from shared.publishing.existing import ExistingDocuments
from shared.publishing.publisher import Publisher
from shared.publishing.tiers import TierPublisher
from shared.publishing.writer import ViewWriter
from shared.units import Month
from tests.fakes import FakeContainer, Killed
from tests.unit.shared.delivery import Document, Instance, no_pauses
from tests.unit.shared.properties.interleaving import Interruption, at_every_operation, die
from tests.unit.shared.properties.test_every_source import assert_indexed, counted, ledger, records
from tests.unit.shared.world import World, interaction

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

MONTHS = ["202508", "202509"]


def account(consent: bool) -> Document:
    return {"id": "u", "user_id": "ann", "privacy_settings": {"analytics_consent": consent}}


class Other:
    """Another instance: it folds, and publishes what it folded."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.folding = Instance(world.state)
        self.publisher: Publisher | None = None

    async def fold(self, *documents: Document, source: str = USER_INTERACTIONS) -> None:
        own, self.world.folding = self.world.folding, self.folding
        try:
            await self.world.ingest(*documents, source=source)
        finally:
            self.world.folding = own

    async def publish(self) -> None:
        self.publisher = self.publisher or await self.world.publisher()
        await self.world.publish(self.publisher)


async def world_of_ann(consent: bool | None = True) -> World:
    world = World()
    if consent is not None:
        await world.ingest(account(consent), source=USERS)
    await world.ingest(
        interaction(1, "2025-08-12T10:00:00Z"),
        interaction(2, "2025-09-12T10:00:00Z"),
        interaction(3, "2025-09-12T11:00:00Z", "bob"),
    )
    return world


def about_ann(world: World) -> set[str]:
    return {name for name in world.documents("user_analytics") if "_ann_" in name}


def months_of_ann() -> set[str]:
    return {f"user_analytics_ann_{month}" for month in MONTHS}


def is_pending(world: World) -> bool:
    return any(item.get("record", {}).get("pending") for item in world.state.items.values())


async def test_nothing_about_a_person_who_refuses_meanwhile_stays_published() -> None:
    async def run(at: int) -> bool:
        world = await world_of_ann()
        publisher, other = await world.publisher(), Other(world)

        async def refuse() -> None:
            await other.fold(account(False), source=USERS)
            await other.publish()

        changes = list(world.state.items.values())
        with Interruption(world.containers.values(), at, refuse) as interruption:
            await publisher.publish(changes)
        if interruption.happened:
            assert about_ann(world) == set(), at
            assert not is_pending(world), at
            assert "user_analytics_bob_202509" in world.documents("user_analytics")
        return interruption.happened

    assert await at_every_operation(run) > 5


async def test_nothing_stays_published_when_the_publisher_dies_and_others_are_told_again() -> None:
    async def run(at: int) -> bool:
        world = await world_of_ann()
        other = Other(world)
        publisher = await world.publisher()
        changes = list(world.state.items.values())

        async def refuse_and_die() -> None:
            await other.fold(account(False), source=USERS)
            await other.publish()
            await die()

        try:
            with Interruption(world.containers.values(), at, refuse_and_die) as interruption:
                await publisher.publish(changes)
        except Killed:
            # The lease did not advance: the same changes come again, to an instance with nothing in memory.
            await (await world.publisher()).publish(changes)
            assert about_ann(world) == set(), at
            assert not is_pending(world), at
        return interruption.happened

    assert await at_every_operation(run) > 5


@pytest.mark.parametrize("dies", [False, True])
async def test_a_refusal_is_followed_though_others_write_or_the_process_dies_meanwhile(dies: bool) -> None:
    async def run(at: int) -> bool:
        world = await world_of_ann()
        await world.publish()
        assert about_ann(world) == months_of_ann()
        await world.ingest(account(False), source=USERS)
        publisher, other = await world.publisher(), Other(world)

        async def meanwhile() -> None:
            await other.fold(interaction(4, "2025-08-13T10:00:00Z"))
            await other.publish()
            if dies:
                await die()

        try:
            with Interruption(world.containers.values(), at, meanwhile) as interruption:
                await publisher.follow_record("ann")
        except Killed:
            await world.publish()
        await world.publish()
        assert about_ann(world) == set(), at
        assert not is_pending(world), at
        return interruption.happened

    assert await at_every_operation(run) > 3


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
async def test_the_last_consent_stands_whoever_follows_an_earlier_one_meanwhile(
    before: bool, after: bool
) -> None:
    async def run(at: int) -> bool:
        world = await world_of_ann(consent=before)
        await world.publish()
        await world.ingest(account(after), source=USERS)
        publisher, other = await world.publisher(), Other(world)

        async def change_again() -> None:
            await other.fold(account(before), source=USERS)
            await other.publish()

        with Interruption(world.containers.values(), at, change_again) as interruption:
            await publisher.follow_record("ann")
        await world.publish()  # the feed of the last change
        agrees = before if interruption.happened else after
        about = about_ann(world)
        assert (about >= months_of_ann()) if agrees else not about, at
        assert not is_pending(world), at
        return interruption.happened

    assert await at_every_operation(run) > 3


async def test_tiers_are_right_after_the_next_run_whatever_changes_during_one() -> None:
    async def publisher(world: World) -> TierPublisher:
        existing = ExistingDocuments(world)  # type: ignore[arg-type]
        return TierPublisher(
            state=world.state,
            progress=world.containers["fleet_state"],
            existing=existing,
            writer=ViewWriter(world, existing),  # type: ignore[arg-type]
            clock=world.clock,
            readiness=await world.readiness(),
            settings=world.settings,
        )

    def users(world: World) -> dict[str, int]:
        documents = world.documents("engagement_summary").items()
        return {name: document["user_count"] for name, document in documents}

    months = set(map(Month, MONTHS))

    async def run(at: int) -> bool:
        world = await world_of_ann()
        one, other = await publisher(world), Other(world)

        async def meanwhile() -> None:
            await other.fold(account(False), source=USERS)
            await other.fold(interaction(7, "2025-08-20T10:00:00Z", "cid"))
            await (await publisher(world)).publish(world.now.replace(minute=50), months)

        # The later count of the other instance stays.
        stale = suppress(TransientStaleReadError)
        with stale, Interruption(world.containers.values(), at, meanwhile) as interruption:
            await one.publish(world.now, months)
        await (await publisher(world)).publish(world.now.replace(minute=55), months)
        expected = World()
        expected.containers["view_state"] = expected.state = world.state
        await (await publisher(expected)).publish(world.now.replace(minute=55), months)
        assert users(world) == users(expected), at
        return interruption.happened

    assert await at_every_operation(run) > 5


def citing(**relevance: float) -> Document:
    """Return the citations of texts. Only the incidents of an answer tell which is the most relevant one."""
    return {
        "foundational_texts_used": [
            {"source": text, "chapter": "2", "verse": "47", "relevance_score": score}
            for text, score in relevance.items()
        ]
    }


CITED, OTHERWISE_CITED = citing(gita=0.9, udana=0.1), citing(gita=0.1, udana=0.9)
INCIDENTS = 6


def stamped(number: int, document: Document) -> Document:
    return document | {"_ts": 1_770_000_000 + number, "_lsn": number, "_etag": f'"{number}"'}


def visit(number: int, hour: int = 10, **fields: Any) -> Document:
    return stamped(
        number, {"id": "interaction_1", "user_id": "ann", "timestamp": f"2025-08-05T{hour}:00:00Z", **fields}
    )


def incident(number: int, points_at: str = "interaction_1") -> Document:
    return stamped(
        number,
        {
            "id": f"incident{number}", "user_id": "ann", "interaction_id": points_at,
            "created_at": f"2025-08-06T{number:02d}:00:00Z", "incident_type": "spam", "severity": "low",
        },
    )  # fmt: skip


async def incidents_of_a_visit(container: FakeContainer) -> None:
    await Instance(container).ingest([visit(20, **CITED)])
    for number in range(1, INCIDENTS + 1):
        await Instance(container).ingest([incident(number)], SOURCES[ABUSE_INCIDENTS])


CORRECTION = visit(21, hour=12, **OTHERWISE_CITED)
CITES_OTHERWISE = visit(21, **OTHERWISE_CITED)
UNREADABLE = visit(22, hour=12, user_rating=9)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (("user_interactions", CORRECTION), ("abuse_incidents", incident(9))),
        (("abuse_incidents", incident(9)), ("user_interactions", CORRECTION)),
        (("user_interactions", CITES_OTHERWISE), ("abuse_incidents", incident(9))),
        (("abuse_incidents", incident(9)), ("user_interactions", CITES_OTHERWISE)),
        (("user_interactions", CORRECTION), ("user_interactions", UNREADABLE)),
        (("user_interactions", CORRECTION), ("abuse_incidents", stamped(30, incident(2, "interaction_7")))),
        (("user_interactions", CORRECTION), ("users", stamped(31, account(False)))),
        (("users", stamped(31, account(False))), ("user_interactions", CORRECTION)),
    ],
    ids=[
        "move-incident",
        "incident-move",
        "cite-incident",
        "incident-cite",
        "move-unreadable",
        "move-repoint",
        "move-refuse",
        "refuse-move",
    ],
)
@pytest.mark.parametrize("dies", [False, True])
async def test_two_instances_fold_what_concerns_one_person_in_any_interleaving(
    mine: tuple[str, Document], theirs: tuple[str, Document], dies: bool
) -> None:
    expected = FakeContainer()
    await incidents_of_a_visit(expected)
    for source, document in (mine, theirs):
        await Instance(expected).ingest([document], SOURCES[source])

    async def run(at: int) -> bool:
        container = FakeContainer()
        await incidents_of_a_visit(container)
        one, other = Instance(container), Instance(container)
        # Both have everything in their caches.
        for instance in (one, other):
            await instance.ingest([visit(20, **CITED)])

        async def meanwhile() -> None:
            await other.ingest([theirs[1]], SOURCES[theirs[0]])
            if dies:
                await die()

        try:
            with Interruption([container], at, meanwhile) as interruption:
                await one.ingest([mine[1]], SOURCES[mine[0]])
        except Killed:
            await Instance(container).ingest([mine[1]], SOURCES[mine[0]])
        if interruption.happened:
            assert counted(container) == counted(expected), at
            assert ledger(container) == ledger(expected), at
            assert records(container) == records(expected), at
            assert_indexed(container)
        return interruption.happened

    assert await at_every_operation(run) >= 1


async def test_incidents_whose_move_was_cut_off_are_moved_by_any_later_delivery() -> None:
    async def run(at: int) -> bool:
        container = FakeContainer()
        await incidents_of_a_visit(container)
        try:
            with Interruption([container], at, die) as interruption:
                await Instance(container).ingest([CORRECTION])
        except Killed:
            # The auditor delivers the document again, or another instance gets the lease.
            await Instance(container).ingest([CORRECTION])
        texts = {
            item["key"]: item["state"]["sums"]["incidents"]
            for item in container.items.values()
            if item.get("aggregate") == "incident_month" and item["state"]
        }
        assert texts == {"202508|udana": INCIDENTS}, at
        return interruption.happened

    assert await at_every_operation(run) > 3
