"""What becomes of one document: the same figures, the same end, and nothing that it said is lost."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.containers import DAY, container
from shared.documents.upcasters import MODEL_NAMES
from shared.documents.versions import HISTORIES
from shared.errors import DocumentError
from shared.ingest.sources import SOURCES
from shared.maintenance.migrate_document import (
    DOCUMENT_TYPES,
    Ageing,
    Current,
    Ending,
    Left,
    Rewrite,
    decide,
    reference_figures,
    seconds_left,
)
from shared.pricing.table import PriceTable, list_prices
from tests.unit.shared.documents.test_versions import (
    BARE,
    FLAT,
    FLAT_SESSION,
    NESTED,
    OLD_USER,
    TODAY,
    changed_documents,
)

Document = dict[str, Any]

PRICES = PriceTable(list_prices())
CONTAINERS = {document_type: name for name, document_type in DOCUMENT_TYPES.items()}
WRITTEN = 1_754_380_182


def figures(name: str, raw: Any) -> object:
    if name not in SOURCES:
        return reference_figures(name, raw)
    document, fact = SOURCES[name].read(raw, PRICES)
    return document.id, document.user_id, fact


def decided(name: str, raw: Document, to: str, now: float = WRITTEN + 1) -> Any:
    return decide(name, raw, to, now=now, figures=lambda document: figures(name, document))


def readable(name: str, raw: Document) -> bool:
    try:
        figures(name, raw)
    except DocumentError:
        return False
    return True


VECTOR = {
    "id": "krishna_gita_2_47", "partition_key": "krishna", "personality_id": "krishna", "source": "gita",
    "chapter": "2", "verse": 47, "content_type": "foundational_text", "topic_tags": ["duty"],
    "english_translation": "You have a right", "usage_metrics": {"citation_count": 3},
    "validation": {"expert_reviewed": True, "accuracy_score": 0.9}, "embeddings": {"v": [0.1, 0.2]},
}  # fmt: skip
PROFILE = {
    "id": "krishna", "personality_id": "krishna", "partition_key": "krishna",
    "document_type": "personality_profile", "performance_baseline": {"target_satisfaction_score": 4.5},
}  # fmt: skip


# --- nothing changes but the version ------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(changed_documents(), st.data(), st.integers(0, 400 * DAY))
def test_a_rewritten_document_counts_the_same_and_ends_at_the_same_time(
    changed: tuple[str, Document], data: st.DataObject, age: int
) -> None:
    document_type, raw = changed
    name = CONTAINERS[document_type]
    raw = {**raw, "_ts": raw.get("_ts", WRITTEN)}
    to = data.draw(st.sampled_from(HISTORIES[document_type].versions))
    now = WRITTEN + age
    decision = decided(name, raw, to, now)
    if not isinstance(decision, Rewrite):
        return
    body = {**decision.body, "_ts": WRITTEN}
    assert figures(name, body) == figures(name, raw)
    assert HISTORIES[document_type].version_of(body) == to
    assert isinstance(decided(name, body, to, now), Current)
    end = seconds_left(raw, container(name).default_ttl, now)
    assert seconds_left({**body, "_ts": now}, container(name).default_ttl, now) == end
    for field in ("id", "user_id"):
        assert body.get(field) == raw.get(field)


def values_of(part: object, name: str = "") -> list[tuple[str, object]]:
    if isinstance(part, dict):
        return [pair for key, value in part.items() for pair in values_of(value, key)]
    return [(name, part)]


NOT_KEPT = {"document_type", "schema_version", "profile_version"}
NOT_MEASURED = {"response_time_ms", "input_tokens", "output_tokens", "interactions_count"}
"""Fields in which a zero says that nothing was measured."""


@settings(max_examples=600, deadline=None)
@given(changed_documents(), st.data())
def test_a_rewritten_document_says_everything_that_it_said_before(
    changed: tuple[str, Document], data: st.DataObject
) -> None:
    document_type, raw = changed
    raw = {**raw, "_ts": raw.get("_ts", WRITTEN)}
    extra = data.draw(st.sampled_from(["", "interaction_data", "session_data", "context_data"]))
    more = data.draw(st.dictionaries(st.sampled_from(NAMES), st.integers(-3, 9) | st.text(max_size=3)))
    if isinstance(raw.get(extra), dict):
        raw[extra] = {**raw[extra], **more}
    elif not extra:
        raw |= {name: value for name, value in more.items() if name not in raw}
    decision = decided(CONTAINERS[document_type], raw, HISTORIES[document_type].newest)
    if not isinstance(decision, Rewrite):
        return
    kept = Counter(json.dumps(value) for _, value in values_of(decision.body))
    for name, value in values_of(raw):
        is_zero = value in (0, None) and (value is None or name in NOT_MEASURED)
        if name in NOT_KEPT or name.startswith("_") or is_zero or value in ({}, [], ""):
            continue
        known = [value, MODEL_NAMES.get(value, value) if isinstance(value, str) else value]
        assert any(kept[json.dumps(each)] for each in known), (name, value)


NAMES = [
    "user_rating", "rating", "query", "user_query", "user_input", "personality", "personality_used", "model",
    "was_bookmarked", "feedback_rating", "user_feedback", "sequence", "id", "status", "session_quality",
    "interactions_count", "cost_usd",
]  # fmt: skip


def test_what_has_no_place_in_the_newer_version_stays_where_it_was() -> None:
    body = decided("user_interactions", FLAT, "1.1").body
    assert body["context_data"] == {
        "cost_usd": 0.023, "was_bookmarked": False, "content_themes": ["duty"]
    }  # fmt: skip
    nested = decided("user_interactions", NESTED, "1.1").body
    assert "interaction_data" not in nested
    assert nested["content_themes"] == ["duty"]
    both = NESTED | {"interaction_data": NESTED["interaction_data"] | {"query": "And what is not?"}}
    assert decided("user_interactions", both, "1.1").body["interaction_data"] == {"query": "And what is not?"}
    rated = FLAT | {"user_feedback": 2}
    kept = decided("user_interactions", rated, "1.1").body
    assert (kept["user_rating"], kept["context_data"]["user_feedback"]) == (4, 2)


def test_both_fields_of_the_version_say_it() -> None:
    body = decided("users", OLD_USER | {"_ts": WRITTEN}, "1.0").body
    assert (body["schema_version"], body["profile_version"]) == ("1.0", "1.0")
    assert body["privacy_settings"] == {"analytics_consent": False, "data_retention_consent": True}


# --- what is left -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "field", "version"),
    [
        (FLAT | {"feedback_rating": 9}, "user_rating", "0.2"),
        (FLAT | {"timestamp": None, "created_at": None}, "timestamp", "0.2"),
        (NESTED | {"interaction_data": "text"}, "interaction_data", "0.1"),
        (TODAY | {"schema_version": "2.0"}, "schema_version", None),
    ],
)
def test_what_cannot_be_read_is_left_and_the_field_is_named(
    raw: Document, field: str, version: str | None
) -> None:
    assert decided("user_interactions", raw, "1.1") == Left(version, field)


def test_a_document_that_would_count_differently_is_left() -> None:
    seen = iter(["before", "after"])
    decision = decide("user_interactions", TODAY, "1.1", now=WRITTEN, figures=lambda _: next(seen))
    assert decision == Left("1.0", "figures")


@pytest.mark.parametrize("written", ["1.1", "1.7"])
def test_the_version_or_a_newer_minor_one_is_left_alone(written: str) -> None:
    assert decided("user_interactions", TODAY | {"schema_version": written}, "1.1") == Current("1.1")


def test_a_version_between_is_enough() -> None:
    decision = decided("user_interactions", NESTED, "0.2")
    assert (decision.version, decision.body["schema_version"]) == ("0.1", "0.2")
    assert decided("user_interactions", decision.body | {"_ts": WRITTEN}, "1.1").version == "0.2"
    assert decided("user_interactions", BARE | {"_ts": WRITTEN}, "0.2") == Current("1.0")


# --- lifetimes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "default", "left"),
    [
        (None, 100, 60), (50, 100, 10), (-1, 100, None), (50, None, None), (None, None, None),
        (None, -1, None), (50, -1, 10), (30, 100, -10),
    ],
)  # fmt: skip
def test_the_time_that_is_left(ttl: int | None, default: int | None, left: int | None) -> None:
    assert seconds_left({"_ts": 1_000, "ttl": ttl}, default, 1_040) == left


def test_a_document_whose_time_is_over_is_not_brought_back() -> None:
    assert decided("user_interactions", FLAT, "1.1", WRITTEN + 365 * DAY) == Ending("0.2")
    assert "ttl" not in decided("users", OLD_USER | {"_ts": WRITTEN}, "1.0", WRITTEN + 9 * 365 * DAY).body


@pytest.mark.parametrize(
    ("name", "raw", "newest", "days"),
    [
        ("user_interactions", FLAT, "1.1", 365 - 180 - 14),
        ("user_sessions", FLAT_SESSION | {"_ts": WRITTEN}, "1.0", 90 - 60 - 14),
    ],
)
def test_a_document_that_would_expire_before_its_new_age_archives_it_is_left(
    name: str, raw: Document, newest: str, days: int
) -> None:
    assert decided(name, raw, newest, WRITTEN + days * DAY).body["ttl"] == (
        container(name).default_ttl - days * DAY
    )
    assert decided(name, raw, newest, WRITTEN + days * DAY + 1) == Ageing("0.2")


# --- the content pipeline's documents -----------------------------------------------------------------------


def test_a_vector_moves_to_the_partition_of_its_persona_and_text() -> None:
    decision = decided("personality_vectors", VECTOR, "1.2")
    assert (decision.version, decision.moves, decision.container) == ("1.0", True, "personality_vectors")
    same = {name: value for name, value in VECTOR.items() if name not in ("chapter", "verse")}
    assert decision.body == same | {
        "partition_key": "krishna::gita", "source_metadata": {"chapter": "2", "verse": 47},
        "schema_version": "1.2", "profile_version": "1.2",
    }  # fmt: skip
    assert reference_figures("personality_vectors", VECTOR) == reference_figures(
        "personality_vectors", decision.body
    )
    assert isinstance(decided("personality_vectors", decision.body, "1.2"), Current)
    without_key = {name: value for name, value in VECTOR.items() if name != "partition_key"}
    assert decided("personality_vectors", without_key, "1.2").body == decision.body
    assert not decided("personality_vectors", VECTOR, "1.1").moves


@pytest.mark.parametrize("missing", ["source", "personality_id"])
def test_a_vector_that_does_not_say_where_it_belongs_keeps_its_partition(missing: str) -> None:
    raw = {name: value for name, value in VECTOR.items() if name != missing}
    decision = decided("personality_vectors", raw | {"partition_key": 7}, "1.2")
    assert not decision.moves


def test_the_configuration_of_a_persona_among_the_vectors_moves_to_the_personas() -> None:
    decision = decided("personality_vectors", PROFILE, "1.2")
    assert (decision.container, decision.moves) == ("personalities", True)
    assert decision.body == PROFILE | {"schema_version": "1.0", "profile_version": "1.0"}
    assert decided("personality_vectors", PROFILE | {"personality_id": None}, "1.2") == Left(
        "1.0", "personality_id"
    )
    assert decided("personalities", PROFILE, "1.0") == Current("1.0")


def test_there_is_a_container_for_every_type_with_versions() -> None:
    assert set(DOCUMENT_TYPES.values()) == set(HISTORIES)
    assert {DOCUMENT_TYPES[name] for name in SOURCES} == {each.document_type for each in SOURCES.values()}
