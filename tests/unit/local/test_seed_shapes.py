"""The documents beside interactions: the specification's fields if valid, refused if malformed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest

from local.seed.database import database_writes
from local.seed.malformed import INCIDENT_DEFECTS, SESSION_DEFECTS, break_as
from local.seed.traffic import TrafficPlan, Write
from shared.containers import CATALOGUE
from shared.documents.incidents import parse_incident
from shared.documents.sessions import parse_session
from shared.documents.users import parse_user
from shared.errors import DocumentError

PLAN = TrafficPlan(users=40, interactions=2_000, days=28, seed=6)

SESSION_FIELDS = {
    "": "id partition_key user_id document_type "
    "session_id session_token start_time end_time duration_seconds "
    "last_activity status completion_reason interaction_count total_response_time_ms avg_response_time_ms "
    "user_satisfaction_rating personalities_engaged foundational_texts_accessed citation_interactions "
    "content_depth_score device_info location_context session_quality_score engagement_indicators created_at "
    "updated_at _ttl",
    "device_info": "device_type browser os screen_resolution",
    "location_context": "country timezone ip_hash",
    "engagement_indicators": "scroll_depth time_on_guidance return_likelihood",
}
INCIDENT_FIELDS = {
    "": "id partition_key user_id document_type "
    "incident_id interaction_id session_id incident_type severity "
    "confidence_score auto_detected flagged_content detection_metadata actions_taken review_status "
    "human_reviewer review_notes review_decision review_completed_at user_context resolution feedback_data "
    "created_at updated_at _ttl",
    "flagged_content": "content_type flagged_text violation_categories safety_scores",
    "detection_metadata": "detection_method detection_model detection_timestamp false_positive_probability",
    "user_context": "account_age_days previous_violations user_reputation_score account_status warning_count",
    "resolution": "final_decision resolution_actions follow_up_required appeal_submitted "
    "resolution_timestamp",
}
ACCOUNT_FIELDS = {
    "": "id partition_key user_id document_type "
    "auth_id email name auth_provider email_verified account_status "
    "subscription_tier subscription_expires account_flags preferred_language preferred_personalities "
    "content_preferences privacy_settings created_at updated_at last_login profile_version timezone "
    "locale _ttl",
    "content_preferences": "foundational_texts complexity_level citation_style",
    "privacy_settings": "data_collection_consent analytics_consent marketing_consent",
}
PERSONALITY_FIELDS = {
    "": "id partition_key personality_id document_type full_name domain description cultural_context "
    "personality_traits response_tone communication_style formality_level system_prompt_template temperature "
    "max_tokens safety_guidelines primary_sources secondary_sources content_expertise typical_queries "
    "response_patterns is_active is_featured availability personality_version last_updated "
    "performance_baseline created_at created_by _ttl",
    "response_patterns": "citation_frequency story_usage practical_application",
    "performance_baseline": "target_satisfaction_score target_citation_accuracy target_response_time_ms",
}
PASSAGE_FIELDS = {
    "": "id partition_key personality_id document_type content_id content_type content_category source "
    "source_metadata sanskrit_text english_translation detailed_explanation context usage_metrics embeddings "
    "validation personality_weight topic_tags created_at updated_at _ttl",
    "source_metadata": "chapter verse book translator translation_version language",
    "context": "historical_context philosophical_context practical_application",
    "usage_metrics": "citation_count last_accessed avg_relevance_score user_rating_avg effectiveness_score",
    "embeddings": "text_embedding_ada_002 embedding_version embedding_created",
    "validation": "expert_reviewed expert_reviewer review_date accuracy_score cultural_sensitivity_score",
}
FIELDS = {
    "user_sessions": SESSION_FIELDS,
    "abuse_incidents": INCIDENT_FIELDS,
    "users": ACCOUNT_FIELDS,
    "personalities": PERSONALITY_FIELDS,
    "personality_vectors": PASSAGE_FIELDS,
}
TTL = {
    "user_sessions": 7_776_000,
    "abuse_incidents": 94_608_000,
    "users": None,
    "personalities": None,
    "personality_vectors": None,
}


@pytest.fixture(scope="module")
def traffic() -> list[Write]:
    return list(database_writes(PLAN))


def valid(traffic: list[Write], container: str) -> list[Write]:
    return [write for write in traffic if write.container == container and write.defect is None]


def test_documents_have_the_fields_of_the_specification_and_lie_in_their_partition(
    traffic: list[Write],
) -> None:
    keys = {container.name: container.partition_key for container in CATALOGUE}
    for write in traffic:
        if write.container not in FIELDS or write.defect:
            continue
        document = write.document
        for block, names in FIELDS[write.container].items():
            found, wanted = set(document[block] if block else document), set(names.split())
            if "interaction_id" not in found and write.container == "abuse_incidents" and not block:
                wanted -= {"interaction_id"}  # some incidents do not say what they are about
            assert found == wanted, (write.container, block)
        assert document["_ttl"] == TTL[write.container]
        assert document["partition_key"] == document[keys[write.container].removeprefix("/")]


@pytest.mark.parametrize("kind", SESSION_DEFECTS)
def test_every_defect_of_a_session_is_one_that_the_fleet_refuses(kind: str, traffic: list[Write]) -> None:
    for write in valid(traffic, "user_sessions")[-50:]:
        before = json.dumps(write.document)
        broken = break_as(write.document, SESSION_DEFECTS, kind)
        assert json.dumps(write.document) == before, "the valid document must stay as it was"
        with pytest.raises(DocumentError):
            parse_session(json.loads(json.dumps(broken, allow_nan=False)))


@pytest.mark.parametrize("kind", INCIDENT_DEFECTS)
def test_every_defect_of_an_incident_is_one_that_the_fleet_refuses(kind: str, traffic: list[Write]) -> None:
    document = valid(traffic, "abuse_incidents")[0].document
    parse_incident(document)
    broken = break_as(document, INCIDENT_DEFECTS, kind)
    with pytest.raises(DocumentError):
        parse_incident(json.loads(json.dumps(broken, allow_nan=False)))


def test_what_is_marked_as_malformed_is_what_the_fleet_refuses(traffic: list[Write]) -> None:
    defects: defaultdict[str, Counter[str]] = defaultdict(Counter)
    parsers = {"user_sessions": parse_session, "abuse_incidents": parse_incident, "users": parse_user}
    for write in traffic:
        if write.container not in parsers:
            continue
        if write.defect is None:
            parsers[write.container](write.document)
        else:
            defects[write.container][write.defect] += 1
            with pytest.raises(DocumentError):
                parsers[write.container](write.document)
    sessions = len({write.document["id"] for write in traffic if write.container == "user_sessions"})
    assert defects["user_sessions"].total() == round(sessions * PLAN.malformed_share)
    assert defects["abuse_incidents"].total() == 1
    assert "users" not in defects
