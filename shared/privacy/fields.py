"""The table: every field of every source, with its class and form. The catalogue of containers names it.

A field that is not in the table counts as the most sensitive class, and so does a value whose form is not
that of its field. A new field of a source therefore goes nowhere until it has an entry here.

Paths of lists have no index. The names of documents from before there were versions are in the table too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.containers import VIEW_STATE
from shared.privacy.classes import FieldClass
from shared.privacy.forms import Form


@dataclass(frozen=True, slots=True)
class Field:
    """The class of a field and the form of its values."""

    field_class: FieldClass
    form: Form


UNKNOWN_FIELD = Field(FieldClass.SECRET, Form.TEXT)
"""What a field without an entry counts as."""

_GROUPS = {
    "identifiers": Field(FieldClass.IDENTIFIER, Form.IDENTIFIER),
    "secrets": Field(FieldClass.SECRET, Form.TEXT),
    "pii": Field(FieldClass.USER_PII, Form.TEXT),
    "content": Field(FieldClass.SENSITIVE_CONTENT, Form.TEXT),
    "numbers": Field(FieldClass.ANALYTICS_ONLY, Form.NUMBER),
    "times": Field(FieldClass.ANALYTICS_ONLY, Form.TIME),
    "flags": Field(FieldClass.ANALYTICS_ONLY, Form.FLAG),
    "versions": Field(FieldClass.ANALYTICS_ONLY, Form.VERSION),
    "numerals": Field(FieldClass.ANALYTICS_ONLY, Form.NUMERAL),
    "names": Field(FieldClass.ANALYTICS_ONLY, Form.NAME),
    "models": Field(FieldClass.ANALYTICS_ONLY, Form.MODEL),
    "types": Field(FieldClass.ANALYTICS_ONLY, Form.DOCUMENT_TYPE),
}

_Groups = Mapping[str, str]
"""Names of fields, divided by blanks, by the group that they belong to."""

_EVERY_DOCUMENT: _Groups = {
    "identifiers": "id partition_key user_id _etag",
    "types": "document_type",
    "versions": "schema_version profile_version",
    "times": "created_at updated_at timestamp",
    "numbers": "_ts _lsn _ttl ttl",
}

_USAGE: _Groups = {"numbers": "input_tokens output_tokens cost_usd", "models": "model_used model"}

_KINDS_OF_TOKENS = (
    "total_tokens total_token_count thoughts_token_count thoughts_tokens thought_tokens thinking_token_count"
    " thinking_tokens reasoning_tokens reasoning_token_count cached_tokens cached_token_count"
    " cached_input_tokens cached_content_token_count cache_read_input_tokens cache_creation_input_tokens"
    " tool_use_prompt_token_count tool_use_tokens totalTokenCount thoughtsTokenCount cachedContentTokenCount"
    " toolUsePromptTokenCount"
)
"""Names of counts that providers report. A field of another name is not in the copy of a document."""

_OLD_NAMES: _Groups = {
    "identifiers": "session_id",
    "content": "user_query query response_text response user_input ai_response",
    "names": "personality_used personality personality_id content_themes interaction_type",
    "numbers": "user_rating rating feedback_rating user_feedback sequence sequence_number response_time_ms",
    "flags": "was_bookmarked",
}
"""Fields of interactions from before there were versions."""

_INTERACTION: Mapping[str, _Groups] = {
    "": {
        "identifiers": "interaction_id session_id",
        "content": "user_query response_text",
        "numbers": "sequence_number response_time_ms user_rating",
    },
    "processing_stages": {
        "numbers": "query_understanding_ms content_retrieval_ms generation_ms post_processing_ms"
    },
    "query_metadata": {
        "numbers": "query_length intent_confidence",
        "names": "query_complexity query_category language_detected",
    },
    "response_metadata": {
        "numbers": "response_length generation_temperature",
        "names": "personality_used",
        "models": "model_used",
        "flags": "safety_filtered",
    },
    "foundational_texts_used": {
        "names": "source",
        "numerals": "chapter verse",
        "numbers": "relevance_score",
        "content": "citation_text",
    },
    "rag_metadata": {
        "numbers": "chunks_retrieved avg_relevance_score",
        "names": "retrieval_strategy embedding_model",
    },
    "user_feedback": {"flags": "helpful accurate relevant well_cited"},
    "cost_data": {
        "numbers": f"{_USAGE['numbers']} {_KINDS_OF_TOKENS}",
        "models": _USAGE["models"],
        "times": "timestamp",
    },
    "cost_data.usage_metadata": {"numbers": _KINDS_OF_TOKENS},
    "cost_data.output_tokens_details": {"numbers": "reasoning_tokens"},
    "cost_data.completion_tokens_details": {"numbers": "reasoning_tokens"},
    "cost_data.output_token_details": {"numbers": "reasoning"},
    "cost_data.input_tokens_details": {"numbers": "cached_tokens"},
    "cost_data.prompt_tokens_details": {"numbers": "cached_tokens"},
    "cost_data.input_token_details": {"numbers": "cache_read"},
    "quality_metrics": {"numbers": "response_relevance citation_accuracy user_satisfaction safety_score"},
}

_SESSION: Mapping[str, _Groups] = {
    "": {
        "identifiers": "session_id",
        "secrets": "session_token",
        "times": "start_time end_time last_activity",
        "numbers": "duration_seconds interaction_count interactions_count total_response_time_ms"
        " avg_response_time_ms user_satisfaction_rating citation_interactions content_depth_score"
        " session_quality_score",
        "names": "status completion_reason session_quality personalities_engaged foundational_texts_accessed",
    },
    "device_info": {"names": "device_type browser os screen_resolution"},
    "location_context": {"pii": "country timezone ip_hash"},
    "engagement_indicators": {"numbers": "scroll_depth time_on_guidance return_likelihood"},
}

_INCIDENT: Mapping[str, _Groups] = {
    "": {
        "identifiers": "incident_id interaction_id session_id",
        "names": "incident_type severity review_status review_decision",
        "numbers": "confidence_score",
        "flags": "auto_detected",
        "times": "review_completed_at",
        "pii": "human_reviewer",
        "content": "review_notes",
    },
    "flagged_content": {"names": "content_type violation_categories", "content": "flagged_text"},
    "flagged_content.safety_scores": {"numbers": "toxicity severe_toxicity identity_attack insult threat"},
    "detection_metadata": {
        "names": "detection_method detection_model",
        "times": "detection_timestamp",
        "numbers": "false_positive_probability",
    },
    "actions_taken": {
        "names": "action_type",
        "times": "action_timestamp",
        "flags": "automated",
        "content": "details",
    },
    "user_context": {
        "numbers": "account_age_days previous_violations user_reputation_score warning_count",
        "names": "account_status",
    },
    "resolution": {
        "names": "final_decision resolution_actions",
        "flags": "follow_up_required appeal_submitted",
        "times": "resolution_timestamp",
    },
    "feedback_data": {
        "content": "reviewer_feedback suggested_improvements",
        "names": "model_accuracy training_data_value",
    },
}

_USER: Mapping[str, _Groups] = {
    "": {
        "pii": "auth_id email name",
        "names": "auth_provider account_status subscription_tier account_flags preferred_language"
        " preferred_personalities timezone locale",
        "flags": "email_verified analytics_consent data_collection_consent data_retention_consent"
        " marketing_consent",
        "times": "subscription_expires last_login last_consent_update",
    },
    "content_preferences": {"names": "foundational_texts complexity_level citation_style"},
    "privacy_settings": {
        "flags": "data_collection_consent analytics_consent data_retention_consent marketing_consent"
    },
}


def _table(blocks: Mapping[str, _Groups]) -> dict[str, Field]:
    return {
        f"{block}.{name}" if block else name: _GROUPS[group]
        for block, groups in blocks.items()
        for group, names in groups.items()
        for name in names.split()
    }


def _within(envelope: str, fields: Mapping[str, Field]) -> dict[str, Field]:
    return {f"{envelope}.{path}": field for path, field in fields.items()}


def _interactions() -> dict[str, Field]:
    old = _table({"": _OLD_NAMES, "context_data": {**_USAGE, "names": "content_themes"}})
    own = _table({"": _EVERY_DOCUMENT}) | old | _table(_INTERACTION)
    return own | _within("interaction_data", own | _table({"": _USAGE}))


def _sessions() -> dict[str, Field]:
    own = _table({"": _EVERY_DOCUMENT}) | _table(_SESSION)
    return own | _within("session_data", own)


FIELDS: Mapping[str, Mapping[str, Field]] = {
    "user_interactions": _interactions(),
    "user_sessions": _sessions(),
    "abuse_incidents": _table({"": _EVERY_DOCUMENT}) | _table(_INCIDENT),
    "users": _table({"": _EVERY_DOCUMENT}) | _table(_USER),
    # What the publisher says of a document that it could not publish: the view and the document's key.
    VIEW_STATE: _table({"": {"identifiers": "id user_id key", "names": "view"}}),
}
"""The fields of each source, by path: ``query_metadata.query_category``."""


def _blocks(paths: Mapping[str, Field]) -> frozenset[str]:
    return frozenset(path[:end] for path in paths for end, sign in enumerate(path) if sign == ".")


BLOCKS: Mapping[str, frozenset[str]] = {source: _blocks(fields) for source, fields in FIELDS.items()}
"""Paths of the objects in each source that have such fields, or of lists of such objects."""


def field_of(source: str, path: str) -> Field:
    """Return the field at a path, in which indexes of lists are left out."""
    plain = ".".join(part for part in path.split(".") if not part.isdecimal())
    return FIELDS.get(source, {}).get(plain, UNKNOWN_FIELD)
