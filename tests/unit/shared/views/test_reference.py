"""What documents of the content pipeline say: in any order, and whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.facts import Passage
from shared.views.reference import (
    NOTHING_KNOWN,
    WEAKEST,
    KnownPassage,
    KnownText,
    Named,
    Reference,
    ReferenceCounter,
    Targets,
)
from tests.unit.shared.facts.test_consent import ANY


def vector(verse: int | None = 47, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"krishna_gita_2_{verse}",
        "partition_key": "krishna::gita",
        "source_metadata": {"chapter": "2", "verse": verse},
        **fields,
    }


def persona(number: int, response_ms: object, **fields: Any) -> dict[str, Any]:
    baseline = {"target_response_time_ms": response_ms}
    return {"id": str(number), "personality_id": "krishna", "performance_baseline": baseline, **fields}


def reference(*vectors: dict[str, Any], personas: tuple[dict[str, Any], ...] = ()) -> Reference:
    counter = ReferenceCounter()
    for each in vectors:
        counter.add_vector(each)
    for each in personas:
        counter.add_personality(each)
    return counter.reference()


def test_a_text_is_known_from_its_passages() -> None:
    validation = {"expert_reviewed": True, "accuracy_score": 0.98, "cultural_sensitivity_score": 0.96}
    known = reference(
        vector(47, validation=validation, translated=9, explained=1),
        vector(47, id="buddha_gita_2_47", partition_key="buddha::gita", validation={"accuracy_score": 0.9}),
        vector(None),
    ).text("gita")
    assert (known.verses, known.chapters, known.documents) == (1, {"2"}, 3)
    assert (known.completeness, known.share_reviewed, known.validation_status) == (0.3333, 0.3333, "partial")
    assert known.accuracy == (1_880_000, 2)
    assert known.reviewed_accuracy == (980_000, 1)
    assert known.sensitivity == (960_000, 1)
    assert known.weakest == (Passage("gita", "2", "47"),)


@pytest.mark.parametrize(("reviewed", "status"), [((True, True), "complete"), ((False, False), "none")])
def test_the_status_of_a_text(reviewed: tuple[bool, bool], status: str) -> None:
    vectors = [vector(n, validation={"expert_reviewed": each}) for n, each in enumerate(reviewed)]
    assert reference(*vectors).text("gita").validation_status == status


def test_nothing_is_known_without_documents() -> None:
    assert reference() == NOTHING_KNOWN
    assert NOTHING_KNOWN.text("gita") == KnownText()
    assert NOTHING_KNOWN.text("gita").validation_status is None
    assert NOTHING_KNOWN.passage("gita|2|47") == KnownPassage()
    assert NOTHING_KNOWN.targets_of("krishna") == Targets()


def test_traits_and_templates_are_no_passages() -> None:
    assert reference(vector(content_type="personality_trait")) == NOTHING_KNOWN


def test_the_first_document_by_id_says_what_a_passage_is() -> None:
    first = vector(47, id="a", content_category="verse", topic_tags=["duty", "duty", 7, " "])
    second = vector(47, id="b", content_category="story", topic_tags=["love"])
    assert reference(second, first) == reference(first, second)
    assert reference(second, first).passage("gita|2|47") == KnownPassage("verse", ("duty",))


def test_the_last_active_version_of_a_persona_has_its_targets() -> None:
    versions = (persona(2, 900), persona(1, 1200), persona(3, 1, is_active=False))
    assert reference(personas=versions).targets_of("krishna").response_ms == 900
    assert reference(personas=(persona(1, -5),)).targets_of("krishna") == Targets()


@given(
    scores=st.lists(st.sampled_from([0.1, 0.5, 0.94, 0.95, 1.0, 7, True, None]), max_size=30), data=st.data()
)
def test_the_weakest_passages_do_not_depend_on_the_order(scores: list[Any], data: st.DataObject) -> None:
    vectors = [
        vector(number % 12, id=str(number), validation={"accuracy_score": each})
        for number, each in enumerate(scores)
    ]
    shuffled = data.draw(st.permutations(vectors))
    known = reference(*vectors)
    assert reference(*shuffled) == known
    lowest: dict[str, float] = {}
    for number, each in enumerate(scores):
        if isinstance(each, float) and each < 0.95:
            lowest[str(number % 12)] = min(each, lowest.get(str(number % 12), 1.0))
    expected = sorted(lowest, key=lambda verse: (lowest[verse], verse))[:WEAKEST]
    assert [passage.verse for passage in known.text("gita").weakest] == expected


@given(
    fields=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "personality_id", "source", "source_metadata", "chapter", "verse", "content_type",
                "content_category", "topic_tags", "validation", "translated", "explained",
                "performance_baseline", "is_active",
            ),
            ANY,
        ),
    )
)  # fmt: skip
def test_whatever_a_document_holds_it_can_be_read(fields: dict[str, Any]) -> None:
    document = {"id": "x", "partition_key": "krishna::gita"} | fields
    Named.of(document)
    reference(document, personas=(document,))
