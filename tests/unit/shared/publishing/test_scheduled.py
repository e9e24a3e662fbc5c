"""Views that the clock publishes."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.aggregates.base import PartialKey
from shared.cosmos import retries
from shared.facts import USERS
from shared.privacy.classes import MIN_PEOPLE
from shared.publishing.merge import StateMerger
from shared.publishing.merged_state import MergedState
from shared.publishing.plan import MAX_STATES
from shared.settings import Settings
from shared.units import Day, day_after
from shared.views import VIEWS
from tests.fakes import no_fault
from tests.unit.shared.delivery import Instance
from tests.unit.shared.world import SHARDS, World, interaction


def at(world: World, now: datetime) -> None:
    """Set the time, of the fleet and of what is written to its state."""
    world.now = now
    world.state.write_from(int(now.timestamp()))


def an_hour_later(world: World) -> None:
    """Let an hour pass, after which the timer has something to do again."""
    at(world, world.now + timedelta(hours=1))


def consent(given: bool) -> dict[str, object]:
    return {"id": "user_ann", "user_id": "ann", "privacy_settings": {"analytics_consent": given}}


async def test_days_follow_within_the_hour_weeks_and_quarters_within_half_a_day() -> None:
    world = World()
    await world.ingest(interaction(1, "2025-09-01T10:00:00Z"), interaction(2, "2025-09-12T11:00:00Z"))
    await world.publish()
    assert world.documents("user_analytics").keys() == {"user_analytics_ann_202509"}
    scheduled = await world.scheduled()
    report = await scheduled.publish_due()
    shown = world.documents("user_analytics")
    assert {name.rpartition("_")[2] for name in shown} == {
        "202509", "20250901", "20250912", "2025W36", "2025W37", "2025Q3",
    }  # fmt: skip
    assert shown["user_analytics_ann_2025Q3"]["interaction_metrics"]["total_interactions"] == 2
    assert shown["user_analytics_ann_2025W37"]["period_start"] == "2025-09-08T00:00:00Z"
    assert report.published > 4
    popular = world.documents("content_popularity")
    assert popular["content_popularity_daily_20250912"]["top_foundational_texts"][0]["citations"] == 1
    assert "content_popularity_daily_20250902" not in popular
    texts = world.documents("content_analytics")
    assert texts.keys() == {"content_analytics_gita_202509"}
    assert texts["content_analytics_gita_202509"]["usage_metrics"]["unique_users_accessed"] == 1

    before = {name: document["_etag"] for name, document in shown.items()}
    assert (await scheduled.publish_due()).published == 0
    await world.ingest(interaction(3, "2025-09-12T12:00:00Z"))
    assert (await scheduled.publish_due()).published == 0
    an_hour_later(world)
    await scheduled.publish_due()

    def changed() -> set[str]:
        now = world.documents("user_analytics").items()
        return {name.rpartition("_")[2] for name, document in now if document["_etag"] != before[name]}

    assert changed() == {"20250912"}
    world.now += timedelta(hours=12)
    await scheduled.publish_due()
    assert changed() >= {"20250912", "2025W37", "2025Q3"}


async def test_who_refuses_has_no_document_and_gets_it_back_when_they_agree() -> None:
    world = World()
    publisher, scheduled = await world.publisher(), await world.scheduled()
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"), interaction(2, "2025-09-12T10:00:00Z", "bob"))

    async def bring_up_to_date() -> tuple[set[str], int]:
        an_hour_later(world)
        await world.publish(publisher)
        await scheduled.publish_due()
        summary = world.documents("engagement_summary")["engagement_summary_new_202509"]
        people = {document["user_id"] for document in world.documents("user_analytics").values()}
        return people, summary["user_count"]

    assert await bring_up_to_date() == ({"ann", "bob"}, 2)
    await world.ingest(consent(False), source=USERS)
    await world.publish(publisher)  # what must go goes at once, whatever the timers bring later
    assert {document["user_id"] for document in world.documents("user_analytics").values()} == {"bob"}
    assert await bring_up_to_date() == ({"bob"}, 1)
    assert world.documents("daily_metrics")["daily_metrics_20250912"]["usage_statistics"]["active_users"] == 2
    await world.ingest(consent(True), source=USERS)
    assert await bring_up_to_date() == ({"ann", "bob"}, 2)


async def shown_to_all() -> World:
    world = World()
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"))
    await world.publish()
    await (await world.scheduled()).publish_due(everything=True)
    assert len(world.documents("user_analytics")) == 4
    return world


async def test_nothing_is_left_of_who_refuses_after_a_month_lost_everything() -> None:
    world = await shown_to_all()
    publisher = await world.publisher()
    await world.ingest(interaction(1, "2025-06-12T10:00:00Z"))
    await world.publish(publisher)
    await world.ingest(consent(False), source=USERS)
    await world.publish(publisher)
    assert world.documents("user_analytics") == {}


async def test_who_refuses_has_no_document_though_its_view_is_held_back() -> None:
    world = await shown_to_all()
    readiness = await world.readiness()
    await readiness.hold_back(name for name in VIEWS if name.startswith("user_analytics"))
    publisher = await world.publisher()
    await world.ingest(interaction(2, "2025-09-12T10:00:00Z"))
    await world.publish(publisher)
    month = world.documents("user_analytics")["user_analytics_ann_202509"]
    assert month["interaction_metrics"]["total_interactions"] == 1
    await world.ingest(consent(False), source=USERS)
    refused = list(world.state.items.values())
    await world.publish(publisher)
    assert world.documents("user_analytics") == {}
    await world.ingest(consent(True), source=USERS)
    await publisher.publish(refused)  # an old delivery
    await world.publish(publisher)
    assert world.documents("user_analytics") == {}


async def test_who_refuses_has_no_document_though_a_new_generation_is_not_complete() -> None:
    world = await shown_to_all()
    world.settings = Settings(FLEET_SHARDS=SHARDS, FLEET_GENERATION=2)
    world.state.items.clear()
    world.folding = Instance(world.state, generation=2)
    publisher = await world.publisher()
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"), interaction(2, "2025-09-12T10:00:00Z"))
    await world.publish(publisher)
    month = world.documents("user_analytics")["user_analytics_ann_202509"]
    assert month["interaction_metrics"]["total_interactions"] == 1
    await world.ingest(consent(False), source=USERS)
    await world.publish(publisher)
    assert world.documents("user_analytics") == {}


async def test_documents_that_another_instance_took_away_come_back_with_the_same_figures() -> None:
    world = World()
    publisher, scheduled = await world.publisher(), await world.scheduled()
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"))
    await world.publish(publisher)
    await scheduled.publish_due(everything=True)
    shown = world.documents("user_analytics").keys()
    for given in (False, True):
        await world.ingest(consent(given), source=USERS)
        await world.publish(publisher)
    await scheduled.publish_due(everything=True)
    assert world.documents("user_analytics").keys() == shown


@pytest.mark.parametrize(
    "container", ["user_analytics", "content_popularity", "content_analytics", "engagement_summary"]
)
async def test_figures_that_go_back_to_what_they_were_are_shown_whoever_showed_others_meanwhile(
    container: str,
) -> None:
    world = World()
    one, two = await world.scheduled(), await world.scheduled()
    shown = []
    for rating, scheduled in ((5, one), (3, two), (5, one)):
        for number in range(MIN_PEOPLE):  # fewer have no figures of a tier
            await world.ingest(
                interaction(number, "2025-09-12T10:00:00Z", f"user-{number}", user_rating=rating)
            )
        world.now += timedelta(seconds=1)
        await scheduled.publish_due(everything=True)
        documents = world.documents(container).items()
        shown.append({name: document["state"]["content"] for name, document in documents})
    assert shown[0] == shown[2] != shown[1]


async def test_a_person_who_falls_silent_churns_without_any_event() -> None:
    world = World(now=datetime(2025, 9, 15, 12, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-09-15T10:00:00Z"), interaction(2, "2025-09-01T10:00:00Z", "bob"))
    await world.publish()
    scheduled = await world.scheduled()

    async def churned(month: str) -> int:
        await scheduled.publish_due()
        return int(world.documents("engagement_summary")[f"engagement_summary_churned_{month}"]["user_count"])

    assert await churned("202509") == 0
    world.now += timedelta(days=15)  # bob was here 29 days ago
    assert await churned("202509") == 0
    await world.ingest(interaction(3, "2025-10-01T10:00:00Z"))
    world.now += timedelta(days=1)
    assert await churned("202509") == 0  # the end of its month is not thirty days after his day
    await world.publish()
    assert await churned("202510") == 1
    await world.ingest(interaction(4, "2025-10-02T10:00:00Z", "bob"))
    await world.publish()
    world.now += timedelta(days=1)
    assert await churned("202510") == 0


async def test_who_turns_out_to_have_been_silent_is_shown_in_the_month_that_is_over() -> None:
    world = World(now=datetime(2025, 9, 14, 12, tzinfo=UTC))
    scheduled = await world.scheduled()
    await world.ingest(interaction(1, "2025-09-14T10:00:00Z"), interaction(2, "2025-08-30T10:00:00Z", "bob"))
    await scheduled.publish_due()
    world.now += timedelta(hours=1)
    world.state.write_from(int(world.now.timestamp()))
    await scheduled.publish_due()
    await world.ingest(interaction(1, "2025-06-30T10:00:00Z"))
    world.now += timedelta(hours=12)
    await scheduled.publish_due()
    summaries = world.documents("engagement_summary")
    assert summaries["engagement_summary_churned_202508"]["user_count"] == 1


async def test_scores_sink_with_the_days() -> None:
    world = World(now=datetime(2025, 9, 15, 12, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-09-15T10:00:00Z"))
    await world.publish()
    scheduled = await world.scheduled()
    risks = []
    for _ in range(3):
        await scheduled.publish_due()
        month = world.documents("user_analytics")["user_analytics_ann_202509"]
        risks.append(month["predictions"]["churn_risk_score"])
        assert month["state"]["tick"] == f"{world.now:%Y-%m-%d}"
        world.now += timedelta(days=5)
    assert risks == sorted(set(risks))


async def test_the_scores_of_a_quarter_sink_after_the_month_of_the_last_visit() -> None:
    world = World(now=datetime(2025, 7, 15, 12, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-07-10T10:00:00Z"), interaction(2, "2025-07-14T10:00:00Z"))
    await world.publish()
    scheduled = await world.scheduled()
    risks = []
    for month in (7, 8, 9):
        world.now = datetime(2025, month, 20, 12, tzinfo=UTC)
        await scheduled.publish_due()
        quarter = world.documents("user_analytics")["user_analytics_ann_2025Q3"]
        assert quarter["state"]["tick"] == f"2025-0{month}-20"
        risks.append(quarter["predictions"]["churn_risk_score"])
    assert risks == sorted(set(risks))


@pytest.mark.parametrize(
    ("period", "last", "after"),
    [
        ("202507", "2025-07-31", datetime(2025, 8, 2, 12, tzinfo=UTC)),
        ("2025W29", "2025-07-20", datetime(2025, 7, 22, 12, tzinfo=UTC)),
        ("2025W31", "2025-08-03", datetime(2025, 8, 5, 12, tzinfo=UTC)),
        ("2025Q3", "2025-09-30", datetime(2025, 10, 2, 12, tzinfo=UTC)),
        ("202507", "2025-07-31", datetime(2025, 8, 12, 12, tzinfo=UTC)),
        ("2025W31", "2025-08-03", datetime(2025, 8, 12, 12, tzinfo=UTC)),
        ("2025Q3", "2025-09-30", datetime(2025, 10, 12, 12, tzinfo=UTC)),
    ],
)
async def test_a_period_is_shown_as_of_its_end_though_the_clock_stood_still_then(
    period: str, last: str, after: datetime
) -> None:
    world = World(now=datetime(2025, 7, 15, 12, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-07-14T10:00:00Z"), interaction(2, "2025-07-29T10:00:00Z"))
    await world.publish()
    scheduled = await world.scheduled()
    for now in (world.now, world.now + timedelta(days=1), after):  # since the second nothing is written
        world.now = now
        await scheduled.publish_due()
    shown = world.documents("user_analytics")[f"user_analytics_ann_{period}"]
    assert shown["state"]["tick"] == last


async def test_a_day_and_a_text_that_lost_everything_are_no_longer_shown() -> None:
    world = World()
    scheduled = await world.scheduled()
    await world.ingest(interaction(1, "2025-09-01T10:00:00Z"), interaction(2, "2025-09-12T10:00:00Z"))
    await scheduled.publish_due()
    assert "user_analytics_ann_20250901" in world.documents("user_analytics")
    upanishads = [{"source": "upanishads", "chapter": "1", "verse": "1"}]
    await world.ingest(
        interaction(1, "2025-09-12T10:00:00Z", foundational_texts_used=upanishads),
        interaction(2, "2025-09-12T10:00:00Z", foundational_texts_used=upanishads),
    )
    await scheduled.publish_due(everything=True)
    assert "user_analytics_ann_20250901" not in world.documents("user_analytics")
    assert world.documents("content_analytics").keys() == {"content_analytics_upanishads_202509"}


async def test_a_clock_that_runs_ahead_keeps_nobody_from_being_published() -> None:
    world = World(datetime(2025, 9, 1, 0, 30, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-09-01T00:10:00Z"), interaction(2, "2025-09-02T00:10:00Z"))
    await world.publish()
    await (await world.scheduled()).publish_due()
    assert world.documents("poison_messages") == {}
    shown = world.documents("user_analytics")
    for period in ("202509", "2025W36", "2025Q3"):
        assert shown[f"user_analytics_ann_{period}"]["interaction_metrics"]["total_interactions"] == 2
    assert shown["user_analytics_ann_2025W36"]["behavioral_insights"]["usage_pattern"] == "intensive_learner"


async def test_a_month_is_shown_when_it_begins_and_not_before() -> None:
    world = World(now=datetime(2025, 9, 30, 23, 50, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-09-30T10:00:00Z"))
    scheduled = await world.scheduled()

    async def months() -> set[str]:
        await world.publish()
        await scheduled.publish_due()
        return {name[-6:] for name in world.documents("engagement_summary")}

    assert await months() == {"202509"}
    world.now += timedelta(minutes=10)
    assert await months() == {"202509", "202510"}


async def test_a_clock_that_runs_ahead_begins_a_month() -> None:
    world = World(now=datetime(2025, 9, 30, 23, 50, tzinfo=UTC))
    await world.ingest(interaction(1, "2025-10-01T00:10:00Z"))
    await (await world.scheduled()).publish_due()
    assert world.documents("engagement_summary")["engagement_summary_new_202510"]["user_count"] == 1


async def test_vectors_that_cannot_be_written_hold_nothing_else_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "jittered_pause", lambda *_: 0.0)
    world = World()
    vectors = world.containers["personality_vectors"]
    says = {"chapter": "2", "verse": "47"}
    vectors._store({"id": "krishna_gita_2_47", "partition_key": "krishna::gita"} | says)

    def busy(operation: str, when: str) -> None:
        if operation != "query":
            raise CosmosHttpResponseError(status_code=429, message="try later")

    vectors.fault = busy
    scheduled = await world.scheduled()
    await world.ingest(interaction(1, "2025-09-12T10:00:00Z"))
    await world.publish()
    for _ in range(2):
        world.now += timedelta(days=1)
        with pytest.raises(CosmosHttpResponseError):
            await scheduled.publish_due()
    month = world.documents("user_analytics")["user_analytics_ann_202509"]
    assert month["state"]["tick"] == f"{world.now:%Y-%m-%d}"
    vectors.fault = no_fault
    report = await scheduled.publish_due()
    assert (report.changed, report.published, report.usage) == (0, 0, 1)
    assert not report.unfinished


async def test_a_year_is_published_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world, together, read = World(), list[int](), StateMerger.read_merged

    async def read_merged(
        merger: StateMerger, targets: Iterable[PartialKey]
    ) -> dict[PartialKey, MergedState]:
        targets = list(targets)
        together.append(len(targets))
        return await read(merger, targets)

    monkeypatch.setattr(StateMerger, "read_merged", read_merged)
    for n in range(0, 360, 2):
        await world.ingest(interaction(n, f"{day_after(Day('2024-09-19'), n)}T10:00:00Z"))
    await world.publish()
    await (await world.scheduled()).publish_due()
    assert max(together) <= MAX_STATES
    assert len(world.documents("daily_metrics")) == 180
    shown = world.documents("content_popularity")
    assert sum(name.startswith("content_popularity_daily") for name in shown) == 180


async def test_a_half_day_looks_at_what_changed_since_the_last_and_misses_nothing_after_an_outage() -> None:
    world = World()
    began = world.now
    scheduled = await world.scheduled()
    await world.ingest(interaction(1, "2025-03-12T10:00:00Z"))
    at(world, began + timedelta(hours=1))
    assert (await scheduled.publish_due()).published > 0
    at(world, began + timedelta(hours=13))
    report = await scheduled.publish_due()
    assert (report.changed, report.aged, report.published, report.current) == (0, 0, 0, 0)
    at(world, began + timedelta(hours=14))
    await world.ingest(interaction(2, "2025-03-12T11:00:00Z"))
    at(world, began + timedelta(days=4))  # and nothing ran in between
    report = await scheduled.publish_due()
    published = world.documents("user_analytics")
    for period in ("20250312", "2025W11", "2025Q1"):
        interactions = published[f"user_analytics_ann_{period}"]["interaction_metrics"]["total_interactions"]
        assert interactions == 2, period


async def test_an_audit_does_not_call_missed_what_a_timer_has_yet_to_publish() -> None:
    world = World()
    await world.ingest(interaction(1, "2025-07-10T10:00:00Z"))
    await world.ingest(interaction(1, "2025-07-10T10:00:00Z", user_rating="bad"))  # empties July
    publisher = await world.publisher()
    await world.publish(publisher)
    before = copy.deepcopy(world.state.items)
    await world.ingest(interaction(2, "2025-08-10T10:00:00Z"))  # the quarter waits for the timer
    await publisher.publish([item for key, item in world.state.items.items() if item != before.get(key)])
    assert "user_analytics_ann_2025Q3" not in world.documents("user_analytics")
    audited = await (await world.publisher()).publish(list(world.state.items.values()))
    assert audited.missed == 0
    await (await world.scheduled()).publish_due()
    assert "user_analytics_ann_2025Q3" in world.documents("user_analytics")
