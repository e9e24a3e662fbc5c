"""Usage of passages: absolute figures in the vectors, whatever is corrected later or interrupted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.aggregates.tally import Tally
from shared.publishing.passage_usage import Citations, usage_metrics
from shared.units import Day
from shared.views.fields import FIELDS
from tests.fakes import Killed
from tests.unit.shared.world import World, interaction

MONDAY, TUESDAY = "2025-09-01T10:00:00Z", "2025-09-02T10:00:00Z"
ID, PARTITION = "krishna_gita_2_47", "krishna::gita"


def with_vectors() -> World:
    world = World()
    vectors = world.containers["personality_vectors"]
    vectors._store(
        {"id": ID, "partition_key": PARTITION, "embeddings": [0.1, 0.2], "usage_metrics": {"old": 1}}
    )
    return world


def vector(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.containers["personality_vectors"].items[PARTITION, ID]
    return found


async def test_what_a_passage_comes_to_is_written_and_nothing_else() -> None:
    world = with_vectors()
    scheduled = await world.scheduled()
    await world.ingest(interaction(1, MONDAY), interaction(2, TUESDAY, user_rating=None))
    report = await scheduled.publish_due(everything=True)
    assert report.usage == 1
    assert vector(world)["embeddings"] == [0.1, 0.2]
    assert vector(world)["usage_metrics"] == {
        "citation_count": 2,
        "last_accessed": "2025-09-02T00:00:00Z",
        "avg_relevance_score": 0.9,
        "user_rating_avg": 5.0,
        "effectiveness_score": pytest.approx(0.75, abs=0.05),
    }
    etag = vector(world)["_etag"]
    await scheduled.publish_due(everything=True)
    assert vector(world)["_etag"] == etag


async def test_vectors_are_written_twice_a_day_and_not_with_every_citation() -> None:
    world = with_vectors()
    scheduled = await world.scheduled()
    citations = []
    for hour in range(24):
        world.now = datetime(2025, 9, 15, hour, tzinfo=UTC)
        await world.ingest(interaction(hour, f"2025-09-15T{hour:02d}:00:00Z"))
        await scheduled.publish_due()
        citations.append(vector(world)["usage_metrics"].get("citation_count"))
    assert citations == [1] * 12 + [13] * 12


async def test_a_corrected_interaction_takes_its_citation_back() -> None:
    world = with_vectors()
    scheduled = await world.scheduled()
    await world.ingest(interaction(1, MONDAY), interaction(2, TUESDAY))
    await scheduled.publish_due(everything=True)
    await world.ingest(interaction(2, TUESDAY, foundational_texts_used=None))
    await scheduled.publish_due(everything=True)
    usage = vector(world)["usage_metrics"]
    assert (usage["citation_count"], usage["last_accessed"]) == (1, "2025-09-01T00:00:00Z")
    await world.ingest(interaction(1, MONDAY, foundational_texts_used=None))
    await scheduled.publish_due(everything=True)
    usage = vector(world)["usage_metrics"]
    assert (usage["citation_count"], usage["last_accessed"], usage["effectiveness_score"]) == (0, None, None)


async def test_a_share_is_renewed_with_the_state_of_its_day() -> None:
    world = with_vectors()
    scheduled = await world.scheduled()

    async def share_after(number: int, **change: Any) -> Any:
        await world.ingest(interaction(number, MONDAY, **change))
        await scheduled.publish_due(everything=True)
        (share,) = (item for item in world.state.items.values() if item["id"] == "usage|2025-09-01")
        return share

    first = await share_after(1)
    assert await share_after(2, foundational_texts_used=None) == first
    world.now += timedelta(days=31)
    renewed = await share_after(3, foundational_texts_used=None)
    assert (renewed["_ts"] > first["_ts"], renewed["shares"]) == (True, first["shares"])
    assert vector(world)["usage_metrics"]["citation_count"] == 1


@pytest.mark.parametrize("operation", ["batch", "patch"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_run_that_dies_is_made_good_by_the_next(operation: str, when: str) -> None:
    world = with_vectors()
    await world.ingest(interaction(1, MONDAY), interaction(2, TUESDAY))
    for container in (world.state, world.containers["personality_vectors"]):
        calls = iter([(operation, when)])

        def fault(what: str, at: str, calls: Any = calls) -> None:
            if (what, at) == (operation, when) and next(calls, None):
                raise Killed

        container.fault = fault
    for _ in range(3):
        try:
            await (await world.scheduled()).publish_due(everything=True)
        except Killed:
            continue
        break
    assert vector(world)["usage_metrics"]["citation_count"] == 2


def test_the_reference_names_what_is_written() -> None:
    assert FIELDS["personality_vectors"].keys() == {
        f"usage_metrics.{name}" for name in usage_metrics(Citations(), ())
    }


async def test_a_passage_without_a_document_waits_for_nothing() -> None:
    world = with_vectors()
    other = {"source": "gita", "chapter": "9", "verse": "9"}
    await world.ingest(interaction(1, MONDAY, foundational_texts_used=[other]))
    report = await (await world.scheduled()).publish_due(everything=True)
    assert (report.usage, vector(world)["usage_metrics"]) == (0, {"old": 1})


@pytest.mark.parametrize(
    ("persona", "source"),
    [("swami_vivekananda", "gita"), ("rabindranath_tagore", "gitanjali_song_offerings_in_english_1912")],
)
async def test_long_names_are_written_as_well(persona: str, source: str) -> None:
    world = World()
    partition, document_id = f"{persona}::{source}", f"{persona}_{source}_18_66"
    world.containers["personality_vectors"]._store({"id": document_id, "partition_key": partition})
    cited = [{"source": source, "chapter": "18", "verse": "66"}]
    personality = {"personality_used": persona}
    await world.ingest(interaction(1, MONDAY, foundational_texts_used=cited, response_metadata=personality))
    assert (await (await world.scheduled()).publish_due()).usage == 1
    stored = world.containers["personality_vectors"].items[partition, document_id]
    assert stored["usage_metrics"]["citation_count"] == 1
    (ranked,) = world.documents("content_popularity")["content_popularity_daily_20250901"]["trending_content"]
    assert ranked["content_id"] == f"{source}_18_66"
    (chapter,) = world.documents("content_analytics")[f"content_analytics_{source}_202509"][
        "chapter_analytics"
    ]
    assert chapter["popular_verses"] == ["18.66"]


async def test_a_text_of_very_many_passages_fits_into_items() -> None:
    world, day, verses = World(), Tally(), 31_102
    for verse in range(verses):
        day.count("passages", f"jesus_christ|the_holy_bible|book {verse // 500}|{verse}")
    report = await world.usage().write({Day("2025-09-01"): (1, day)})
    assert report.absent == verses
    totals = [item for item in world.state.items.values() if item["id"] == "usage|total"]
    assert sum(len(item["shares"]) for item in totals) == verses
    # Seven more days, of 13 bytes each, are remembered of a passage that is cited often.
    most = max(len(json.dumps(item)) + len(item["shares"]) * (7 * 16 + 60) for item in totals)
    assert most < 1_500_000
