"""Each step from one schema version to the next, and how to detect a version that a document does not state.

The web application wrote documents before they had versions, in two shapes:

0.1
    One envelope for all types. An interaction has the type ``interaction`` and its data in
    ``interaction_data``. A session has the type ``session`` and its data in ``session_data``.
0.2
    A document of the current type with all fields at the top level, some with other names, and the model and
    its tokens in ``context_data``.

Their times have no zone and are UTC; every time without a zone is read as UTC. Their ``cost_usd`` was never
measured, so it is ignored: a cost is computed from tokens and the price table.

A step loses no value, because a migration stores what it returns: what has no place in the newer version, or
contradicts what stands there, stays where it was, and parsing ignores it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from shared.documents.common import must_be
from shared.errors import DocumentError

MODEL_NAMES: Mapping[str, str] = MappingProxyType({"gemini-flash": "gemini-2.5-flash"})
"""Model names before 1.0, with their names in the price table. Those releases called no other Flash model."""

_NAMES_IN_0_1: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "user_input": ("user_query", "query"),
        "ai_response": ("response_text", "response"),
        "personality_id": ("personality_used", "personality"),
        "feedback_rating": ("user_rating", "rating"),
        "sequence_number": ("sequence",),
    }
)
"""Field names in 0.2, with their names in ``interaction_data``: stored by 0.1, or passed by its callers."""

_USAGE_IN_0_1: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "model_used": ("model_used", "model"),
        "input_tokens": ("input_tokens",),
        "output_tokens": ("output_tokens",),
    }
)

_ENVELOPE = ("interaction_data", "session_data", "analytics_data")

_OF_THE_DOCUMENT = frozenset(
    {"id", "user_id", "partition_key", "document_type", "schema_version", "profile_version"}
)
"""Properties of the document itself. The data in its envelope cannot override them."""

_ONLY_IN_0_2 = ("context_data", "user_input", "ai_response")
_NOT_YET_IN_0_2 = ("user_query", "response_text", "response_metadata", "cost_data")


def _part(document: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return the object in a field, empty if the field is missing."""
    part = document.get(field)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise DocumentError(field, must_be(part, "must be an object"))
    return part


def _first(part: Mapping[str, Any], names: Iterable[str]) -> object:
    """Return the first value that exists under one of these names."""
    return next((part[name] for name in names if part.get(name) is not None), None)


def _without(document: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in fields}


def _fill(document: dict[str, Any], values: Mapping[str, object]) -> None:
    """Set fields that have no value yet, unless the new value is None."""
    for name, value in values.items():
        if value is not None and document.get(name) is None:
            document[name] = value


def _leave(
    document: dict[str, Any], field: str, part: Mapping[str, Any], moved: Mapping[str, object]
) -> None:
    """Leave in a field of a document what was in it, except values that are at their new places.

    Parameters
    ----------
    moved
        What is at the new place of each value.
    """
    left = {
        name: value
        for name, value in part.items()
        if value is not None and not (name in moved and _is_same(value, moved[name]))
    }
    if left:
        document[field] = left


def _restore(document: dict[str, Any], before: Mapping[str, Any], **moved: object) -> None:
    """Put renamed fields back whose value is not at its new place. Each has the value of that place."""
    for name, place in moved.items():
        value = before.get(name)
        if value is not None and not _is_same(value, place):
            document[name] = value


def _is_same(one: object, other: object) -> bool:
    """Return whether two values are the same to JSON, in which true is not 1."""
    return type(one) is type(other) and one == other


def _unwrap_envelope(document: Mapping[str, Any], envelope: str, called: str, type_: str) -> dict[str, Any]:
    """Return the envelope's own fields, with the current name of the document type."""
    opened = _without(document, envelope, *(name for name in _ENVELOPE if document.get(name) in (None, {})))
    if opened.get("document_type") == called:
        opened["document_type"] = type_
    return opened


def _none_if_zero(value: object) -> object:
    # Releases before 1.0 wrote 0 for "not measured". No call has 0 tokens or a duration of 0.
    return None if value == 0 and not isinstance(value, bool) else value


# --- interactions -------------------------------------------------------------------------------------------


def interaction_version(document: Mapping[str, Any]) -> str:
    """Return the version of an interaction that does not state it."""
    if document.get("document_type") == "interaction" or document.get("interaction_data") is not None:
        return "0.1"
    if any(document.get(field) is not None for field in _NOT_YET_IN_0_2):
        return "1.0"
    return "0.2" if any(document.get(field) is not None for field in _ONLY_IN_0_2) else "1.0"


def interaction_to_0_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """Move the data out of the envelope.

    Raises
    ------
    DocumentError
        ``interaction_data`` is no object.
    """
    data = _part(document, "interaction_data")
    flat = _unwrap_envelope(document, "interaction_data", "interaction", "user_interaction")
    _fill(flat, {name: _first(data, names) for name, names in _NAMES_IN_0_1.items()})
    _fill(flat, {"context_data": {name: _first(data, names) for name, names in _USAGE_IN_0_1.items()}})
    moved = {name for names in (*_NAMES_IN_0_1.values(), *_USAGE_IN_0_1.values()) for name in names}
    _fill(flat, _without(data, *moved, *_OF_THE_DOCUMENT))
    usage = flat["context_data"] if isinstance(flat["context_data"], Mapping) else {}
    places = {old: flat.get(new) for new, names in _NAMES_IN_0_1.items() for old in names}
    places |= {old: usage.get(new) for new, names in _USAGE_IN_0_1.items() for old in names}
    _leave(flat, "interaction_data", data, {name: places.get(name, flat.get(name)) for name in data})
    return flat


def interaction_to_1_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the fields that 1.0 renamed, and move model and tokens to their fields in 1.0.

    These releases wrote "not measured" as two token counts of 0, or as a response time of 0.

    Raises
    ------
    DocumentError
        ``context_data`` is no object.
    """
    usage = _part(document, "context_data")
    renamed = _without(document, "context_data", "user_input", "ai_response", "personality_id")
    model = _current_model_name(usage.get("model_used"))
    tokens = {name: usage.get(name) for name in ("input_tokens", "output_tokens")}
    if all(_none_if_zero(count) is None for count in tokens.values()):
        tokens = {}
    _fill(
        renamed,
        {
            "user_query": document.get("user_input"),
            "response_text": document.get("ai_response"),
            "response_metadata": {"personality_used": document.get("personality_id"), "model_used": model},
            "user_rating": document.get("feedback_rating"),
            "cost_data": {**tokens, "model_used": model, "timestamp": _moment(document)},
        },
    )
    renamed["response_time_ms"] = _none_if_zero(document.get("response_time_ms"))
    # 0.2 repeats the rating here. An object is the feedback of current documents.
    if not isinstance(document.get("user_feedback"), Mapping):
        usage = {**usage, "user_feedback": renamed.pop("user_feedback", None)}
        _fill(renamed, {"user_rating": usage["user_feedback"]})
    renamed.pop("feedback_rating", None)
    response = renamed["response_metadata"]
    _restore(
        renamed,
        document,
        user_input=renamed.get("user_query"),
        ai_response=renamed.get("response_text"),
        feedback_rating=renamed.get("user_rating"),
        personality_id=response.get("personality_used") if isinstance(response, Mapping) else None,
    )
    moved: dict[str, object] = {"user_feedback": renamed.get("user_rating")}
    if document.get("cost_data") is None:  # otherwise nothing moved into it
        moved |= {name: usage.get(name) for name in ("model_used", "input_tokens", "output_tokens")}
    _leave(renamed, "context_data", usage, moved)
    return renamed


def interaction_to_1_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Add ``cost_data`` to a document without it, with the model and no token counts.

    The specification's example writes 0 tokens. That would be a cost of zero that was never measured.
    """
    if document.get("cost_data") is not None:
        return dict(document)
    response = document.get("response_metadata")
    model = response.get("model_used") if isinstance(response, Mapping) else None
    usage = {
        "input_tokens": None,
        "output_tokens": None,
        "model_used": model if isinstance(model, str) else None,
        "timestamp": _moment(document),
    }
    return {**document, "cost_data": usage}


def _moment(document: Mapping[str, Any]) -> object:
    return _first(document, ("timestamp", "created_at"))


def _current_model_name(model: object) -> object:
    return MODEL_NAMES.get(model, model) if isinstance(model, str) else model


# --- sessions -----------------------------------------------------------------------------------------------


def session_version(document: Mapping[str, Any]) -> str:
    """Return the version of a session that does not state it."""
    if document.get("document_type") == "session" or document.get("session_data") is not None:
        return "0.1"
    if document.get("session_quality") is not None or document.get("interactions_count") is not None:
        return "0.2"
    return "1.0"


def session_to_0_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """Move the data out of the envelope.

    Raises
    ------
    DocumentError
        ``session_data`` is no object.
    """
    data = _part(document, "session_data")
    flat = _unwrap_envelope(document, "session_data", "session", "user_session")
    _fill(flat, _without(data, *_OF_THE_DOCUMENT))
    _leave(flat, "session_data", data, {name: flat.get(name) for name in data})
    _fill(flat, {"created_at": document.get("timestamp")})
    return flat


def session_to_1_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the status. Drop the count of interactions, which was written once, as 0, and never updated."""
    renamed = _without(document, "session_quality", "interactions_count")
    _fill(renamed, {"status": document.get("session_quality")})
    _restore(renamed, document, session_quality=renamed.get("status"), interactions_count=0)
    return renamed


# --- users and incidents ------------------------------------------------------------------------------------


CONSENTS = ("analytics_consent", "data_collection_consent", "data_retention_consent")
"""Consents without which there are no figures about a person."""


def user_version(document: Mapping[str, Any]) -> str:
    """Return the version of an account that does not state it. Before 1.0 consents were top-level fields."""
    return "0.1" if any(document.get(name) is not None for name in CONSENTS) else "1.0"


def user_to_1_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """Copy consent to its field in 1.0. Otherwise a person who refused would count as never asked.

    The older fields stay, so that parsing refuses an answer that it cannot read, wherever it stands.
    """
    settings = document.get("privacy_settings")
    if settings is not None and not isinstance(settings, Mapping):
        return dict(document)  # parsing refuses it
    newer = {**document, "privacy_settings": dict(settings or {})}
    _fill(newer["privacy_settings"], {name: document.get(name) for name in CONSENTS})
    return newer


def incident_version(_: Mapping[str, Any]) -> str:
    """Return the version of an incident that does not state it."""
    return "1.0"


# --- the content pipeline's documents -----------------------------------------------------------------------


def content_version(document: Mapping[str, Any]) -> str:
    """Return the version of a document of ``personality_vectors`` that does not state it, by its shape.

    Before 1.1 chapter and verse were fields of the document. Before 1.2 its partition was its persona.
    """
    metadata = document.get("source_metadata") or {}
    if isinstance(metadata, Mapping) and not _place_of(metadata) and _place_of(document):
        return "1.0"
    key = document.get("partition_key")
    return "1.2" if isinstance(key, str) and PERSONA_AND_TEXT in key else "1.1"


PERSONA_AND_TEXT = "::"
"""Between persona and text in a partition key of ``personality_vectors``: ``krishna::bhagavad_gita``."""


def _place_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("chapter", "verse") if document.get(name) is not None}


def content_to_1_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Move chapter and verse into ``source_metadata``, unless that has one of them or is no object."""
    metadata = document.get("source_metadata") or {}
    if not isinstance(metadata, Mapping) or _place_of(metadata):
        return dict(document)
    moved = _without(document, "chapter", "verse")
    return {**moved, "source_metadata": {**metadata, **_place_of(document)}}


def content_to_1_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """Let the partition key be persona and text, ``krishna::bhagavad_gita``.

    A document that does not say both keeps its key: nothing says where it belongs.
    """
    persona, text = document.get("personality_id"), document.get("source")
    key = document.get("partition_key")
    if not isinstance(key, str | None) or (key is not None and PERSONA_AND_TEXT in key):
        return dict(document)
    if persona is None and isinstance(key, str):
        persona = key
    if not (isinstance(persona, str) and persona and isinstance(text, str) and text):
        return dict(document)
    key = f"{persona}{PERSONA_AND_TEXT}{text}"
    return {**document, "personality_id": persona, "partition_key": key}


def profile_version(_: Mapping[str, Any]) -> str:
    """Return the version of a persona's configuration that does not state it."""
    return "1.0"
