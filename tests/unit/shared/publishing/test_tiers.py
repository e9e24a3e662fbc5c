"""Tiers are counted from people by a timer: what it publishes, when, and what another instance may change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import TransientStaleReadError
from shared.facts import USERS
from shared.publishing.existing import ExistingDocuments
from shared.publishing.tiers import TierPublisher
from shared.publishing.writer import ViewWriter
from shared.units import Month
from tests.unit.shared.delivery import no_pauses
from tests.unit.shared.world import World, interaction

pytestmark = pytest.mark.usefixtures(no_pauses.__name__)

VIEW = "engagement_summary"


async def tiers_of(world: World) -> TierPublisher:
    existing = ExistingDocuments(world)  # type: ignore[arg-type]
    return TierPublisher(
        state=world.state,
        progress=world.containers["fleet_state"],
        existing=existing,
        writer=ViewWriter(world, existing),  # type: ignore[arg-type]
        readiness=await world.readiness(),
        settings=world.settings,
    )


def users(world: World) -> dict[str, int]:
    """Return the number of people in each published document that has any, by tier and month."""
    return {
        name.removeprefix(f"{VIEW}_"): document["user_count"]
        for name, document in world.documents(VIEW).items()
        if document["user_count"]
    }


def refusal(user_id: str, refused: bool = True) -> dict[str, Any]:
    return {"id": f"u{user_id}", "user_id": user_id, "privacy_settings": {"analytics_consent": not refused}}


async def counted() -> World:
    world = World()
    await world.ingest(
        interaction(1, "2025-09-12T10:00:00Z", "ann"),
        interaction(2, "2025-08-12T10:00:00Z", "bob"),
        interaction(3, "2025-09-12T10:00:00Z", "bob"),
        interaction(4, "2025-08-01T10:00:00Z", "cid"),
    )
    return world


async def test_everybody_is_in_the_documents_of_their_tier() -> None:
    world = await counted()
    report = await (await tiers_of(world)).publish(world.now, {Month("202508"), Month("202509")})
    assert report.people == 3
    assert users(world) == {
        "new_202508": 1, "churned_202508": 1, "new_202509": 1, "casual_202509": 1, "churned_202509": 1
    }  # fmt: skip


async def test_people_who_refuse_are_in_no_tier() -> None:
    world = await counted()
    await world.ingest(refusal("bob"), refusal("cid"), source=USERS)
    await (await tiers_of(world)).publish(world.now, {Month("202508"), Month("202509")})
    assert users(world) == {"new_202509": 1}


async def test_a_repetition_writes_nothing() -> None:
    world = await counted()
    months = {Month("202508"), Month("202509")}
    first = await (await tiers_of(world)).publish(world.now, months)
    assert first.published == len(world.documents(VIEW)) > 0
    before = {name: document["_etag"] for name, document in world.documents(VIEW).items()}
    world.now = datetime(2025, 9, 15, 15, tzinfo=UTC)
    assert (await (await tiers_of(world)).publish(world.now, months)).published == 0
    assert {name: document["_etag"] for name, document in world.documents(VIEW).items()} == before


async def test_time_alone_moves_people_into_churned() -> None:
    world = await counted()
    await (await tiers_of(world)).publish(world.now, {Month("202508"), Month("202509")})
    world.now = datetime(2025, 10, 20, tzinfo=UTC)
    await (await tiers_of(world)).publish(world.now, set())
    assert {name: number for name, number in users(world).items() if "202510" in name} == {
        "churned_202510": 3
    }


async def test_people_whose_clock_is_ahead_are_in_the_next_month_already() -> None:
    world = World(datetime(2025, 9, 30, 23, 30, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-10-01T00:10:00Z", "ann"))
    for changed in ({Month("202510")}, set[Month]()):
        await (await tiers_of(world)).publish(world.now, changed)
        assert users(world) == {"new_202510": 1}


async def test_the_later_of_two_counts_stays_whichever_is_published_last() -> None:
    world = await counted()
    later = datetime(2025, 9, 15, 20, tzinfo=UTC)
    await (await tiers_of(world)).publish(later, {Month("202508"), Month("202509")})
    before = users(world)
    await world.ingest(interaction(9, "2025-09-13T10:00:00Z", "dan"))
    with pytest.raises(TransientStaleReadError):
        await (await tiers_of(world)).publish(world.now, {Month("202509")})
    assert users(world) == before


async def test_a_refusal_concerns_every_month_when_everything_is_published() -> None:
    world = World()
    await world.ingest(
        interaction(1, "2025-05-12T10:00:00Z", "ann"), interaction(2, "2025-05-13T10:00:00Z", "bob")
    )
    tiers = await tiers_of(world)
    await tiers.publish(world.now, {Month("202505")})
    assert users(world)["new_202505"] == 2
    await world.ingest(refusal("ann"), source=USERS)
    await tiers.publish(world.now.replace(minute=50), set())
    assert users(world)["new_202505"] == 2
    await tiers.publish(world.now.replace(minute=55), set(), everything=True)
    assert users(world)["new_202505"] == 1
    assert not any("202504" in name for name in world.documents(VIEW))


async def test_months_that_have_ended_and_the_one_after_keep_their_figures() -> None:
    world = await counted()
    months = {Month("202508"), Month("202509")}
    await (await tiers_of(world)).publish(world.now, months, everything=True)
    before = world.documents(VIEW)
    world.now = datetime(2026, 10, 5, tzinfo=UTC)  # August of the year before is closed
    world.folding.writer = (await world.fleet()).ingest._writer
    await world.ingest(interaction(5, "2026-10-04T10:00:00Z", "bob"))
    await (await tiers_of(world)).publish(world.now, months, everything=True)
    after = world.documents(VIEW)
    assert {name: after.get(name) for name in before} == before
    assert after.keys() > before.keys()
