"""Usage of passages: the figures of all kept days, in every document about a passage and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.builds import content as content_module
from shared.builds.rows import CitedRow
from shared.publishing import passage_usage
from shared.publishing.passage_usage import Vector, usage_metrics
from shared.publishing.scheduled import ScheduledReport
from shared.views.fields import FIELDS
from shared.views.reference import newest_content
from tests.fakes import Killed
from tests.unit.shared.delivery import Document
from tests.unit.shared.world import World, interaction

MONDAY, TUESDAY, AUGUST = "2025-09-01T10:00:00Z", "2025-09-02T10:00:00Z", "2025-08-20T10:00:00Z"
ID, PARTITION = "krishna_gita_2_47", "krishna::gita"


def add_vector(world: World, item_id: str = ID, partition: str = PARTITION, **change: Any) -> None:
    persona, _, source = partition.partition("::")
    place = {"chapter": "2", "verse": "47"}
    says = {"personality_id": persona, "source": source, "source_metadata": place} | change
    body = {"id": item_id, "partition_key": partition, "embeddings": [0.1, 0.2], **says}
    world.containers["personality_vectors"]._store(body)


def with_vectors() -> World:
    world = World()
    add_vector(world, usage_metrics={"old": 1})
    return world


def vector(world: World, item_id: str = ID, partition: str = PARTITION) -> Document:
    found: Document = world.containers["personality_vectors"].items[partition, item_id]
    return found


def citations(world: World, item_id: str = ID, partition: str = PARTITION) -> Any:
    return vector(world, item_id, partition).get("usage_metrics", {}).get("citation_count")


async def refresh(world: World) -> ScheduledReport:
    return await (await world.scheduled()).publish_due(everything=True)


async def test_what_a_passage_comes_to_is_written_and_nothing_else() -> None:
    world = with_vectors()
    await world.ingest(
        interaction(1, MONDAY), interaction(2, TUESDAY, user_rating=None), interaction(3, AUGUST)
    )
    report = await refresh(world)
    assert (report.usage, report.absent) == (1, 0)
    assert vector(world)["embeddings"] == [0.1, 0.2]
    assert vector(world)["usage_metrics"] == {
        "citation_count": 3,
        "last_accessed": "2025-09-02T00:00:00Z",
        "avg_relevance_score": 0.9,
        "user_rating_avg": 5.0,
        "effectiveness_score": pytest.approx(0.77, abs=0.05),
    }
    etag = vector(world)["_etag"]
    assert (await refresh(world)).usage == 0
    assert vector(world)["_etag"] == etag


@pytest.mark.parametrize("change", [{}, {"partition_key": None}, {"partition_key": 7}])
async def test_a_document_without_a_partition_key_is_skipped(change: Document) -> None:
    world = with_vectors()
    world.containers["personality_vectors"].items["", "x"] = {"id": "x", "_etag": '"x"', "_ts": 1} | change
    await world.ingest(interaction(1, MONDAY))
    report = await refresh(world)
    assert (report.usage, report.absent, citations(world)) == (1, 0, 1)


async def test_vectors_are_written_once_a_day_and_not_with_every_citation() -> None:
    world = with_vectors()
    scheduled = await world.scheduled()
    found = []
    for hour in range(30):
        world.now = datetime(2025, 9, 15, tzinfo=UTC) + timedelta(hours=hour)
        await world.ingest(interaction(hour, world.now.isoformat()))
        await scheduled.publish_due()
        found.append(citations(world))
    assert found == [1] * 24 + [25] * 6


async def test_a_corrected_interaction_takes_its_citation_back() -> None:
    world = with_vectors()
    await world.ingest(interaction(1, MONDAY), interaction(2, TUESDAY))
    await refresh(world)
    await world.ingest(interaction(2, TUESDAY, foundational_texts_used=None))
    await refresh(world)
    usage = vector(world)["usage_metrics"]
    assert (usage["citation_count"], usage["last_accessed"]) == (1, "2025-09-01T00:00:00Z")
    await world.ingest(interaction(1, MONDAY, foundational_texts_used=None))
    await refresh(world)
    usage = vector(world)["usage_metrics"]
    assert (usage["citation_count"], usage["last_accessed"], usage["effectiveness_score"]) == (0, None, None)


async def test_a_vector_that_the_pipeline_replaced_gets_its_usage_back() -> None:
    world = with_vectors()
    await world.ingest(interaction(1, MONDAY))
    await refresh(world)
    add_vector(world)
    assert citations(world) is None
    assert (await refresh(world)).usage == 1
    assert citations(world) == 1


async def test_a_vector_is_found_by_what_it_says_whatever_its_id() -> None:
    world = World()
    partition, item_id = "krishna::Gita, Study Edition", "krishna_gita__2_14_full"
    source = {"source": "Gita, Study Edition", "verse": "Gita 2.14"}
    add_vector(world, item_id, partition, source="Gita, Study Edition", source_metadata=source)
    cited = [source | {"chapter": 2, "relevance_score": 0.9}]
    await world.ingest(interaction(1, MONDAY, foundational_texts_used=cited))
    report = await refresh(world)
    assert (report.usage, report.absent) == (1, 0)
    assert citations(world, item_id, partition) == 1


async def test_every_document_of_a_passage_gets_its_usage_and_every_spelling_counts() -> None:
    world = with_vectors()
    add_vector(world, "second", source_metadata={"chapter": "2:47", "verse": None})
    add_vector(world, "other verse", source_metadata={"chapter": "2", "verse": "48"})
    cited = [{"source": "gita", "chapter": "2:47"}, {"source": "gita", "chapter": "2", "verse": 47.0}]
    cited.append({"source": "gita", "chapter": "2", "verse": "Gita 2.47"})
    await world.ingest(interaction(1, MONDAY, foundational_texts_used=cited))
    report = await refresh(world)
    assert (report.usage, report.absent) == (2, 0)
    assert [citations(world, item) for item in (ID, "second", "other verse")] == [3, 3, None]


async def test_cited_passages_without_a_vector_are_a_figure() -> None:
    world = with_vectors()
    other = {"source": "gita", "chapter": "9", "verse": "9"}
    persona = {"personality_used": "socrates"}
    await world.ingest(
        interaction(1, MONDAY, foundational_texts_used=[other]),
        interaction(2, MONDAY, response_metadata=persona),
    )
    report = await refresh(world)
    assert (report.usage, report.absent) == (0, 2)
    assert vector(world)["usage_metrics"] == {"old": 1}


@pytest.mark.parametrize(("most", "part_bytes"), [(1, 10**6), (2, 100), (1, 100)])
async def test_more_vectors_than_fit_in_memory_are_written_in_several_passes(
    most: int, part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passage_usage, "MAX_VECTORS", most)
    monkeypatch.setattr(content_module, "PART_BYTES", part_bytes)
    world = World()
    verses = range(1, 9)
    for verse in verses:
        add_vector(world, f"v{verse}", source_metadata={"chapter": 2, "verse": verse})
    cited = [{"source": "gita", "chapter": 2, "verse": verse} for verse in verses]
    await world.ingest(interaction(1, MONDAY, foundational_texts_used=cited), interaction(2, AUGUST))
    report = await refresh(world)
    assert (report.usage, report.absent) == (8, 1)
    assert [citations(world, f"v{verse}") for verse in verses] == [1] * 8


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_run_that_dies_is_made_good_by_the_next(when: str) -> None:
    world = with_vectors()
    await world.ingest(interaction(1, MONDAY), interaction(2, TUESDAY))
    calls = iter([when])

    def fault(what: str, at: str) -> None:
        if (what, at) == ("patch", when) and next(calls, None):
            raise Killed

    world.containers["personality_vectors"].fault = fault
    with pytest.raises(Killed):
        await refresh(world)
    await (await world.scheduled()).publish_due()
    assert citations(world) == 2


async def test_a_vector_that_is_replaced_meanwhile_is_written_by_the_next_run() -> None:
    world = with_vectors()
    await world.ingest(interaction(1, MONDAY))
    vectors = world.containers["personality_vectors"]

    def replaced_before_patch(operation: str, when: str) -> None:
        if (operation, when) == ("patch", "before") and vector(world)["embeddings"] != [0.3]:
            add_vector(world, embeddings=[0.3])

    vectors.fault = replaced_before_patch
    assert (await refresh(world)).usage == 0
    assert citations(world) is None
    assert (await refresh(world)).usage == 1
    assert (citations(world), vector(world)["embeddings"]) == (1, [0.3])


def test_the_reference_names_what_is_written() -> None:
    assert FIELDS["personality_vectors"].keys() == {
        f"usage_metrics.{name}" for name in usage_metrics(CitedRow())
    }


@pytest.mark.parametrize(
    "item",
    [
        {"personality_id": "krishna", "source": "gita", "chapter": 2.0, "verse": 47},
        {"personality_id": " krishna", "source": "gita", "chapter": None, "verse": "2.47"},
        {"chapter": "02", "verse": "47"},
        {"source_metadata": {"chapter": "2", "verse": "47"}, "chapter": "9", "verse": "9"},
        {"source_metadata": {"chapter": "2.47", "verse": None}},
        {"source_metadata": {"book": "Gita"}, "chapter": 2, "verse": 47},
        {"personality_id": 7.5, "source": True, "chapter": "2", "verse": "47", "partition_key": "7.5::True"},
    ],
)
def test_a_vector_says_what_it_is_about_in_any_spelling(item: Document) -> None:
    body = {"id": "x", "partition_key": PARTITION, "_etag": "1", "usage_metrics": 5} | item
    found = Vector.decode(body, newest_content(body) or {})
    assert found.key in ("krishna|gita|2|47", "7.5|True|2|47")
    assert found.usage is None
