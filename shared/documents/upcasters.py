"""Each step from one schema version to the next, and how to tell a version that is not written down.

The web application wrote documents before it gave them versions, in two shapes:

0.1
    One envelope for everything: an interaction is a document of type ``interaction`` with its data under
    ``interaction_data``, a session one of type ``session`` with ``session_data``.
0.2
    A document of today's type with all fields at the top, some under other names, and the model and its
    tokens under ``context_data``.

Their times have no zone and are UTC, which is how every time without a zone is read. Their ``cost_usd`` was
never measured, so it is ignored: a cost is computed from tokens and the price table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from shared.documents.common import quote
from shared.errors import DocumentError

MODEL_NAMES: Mapping[str, str] = MappingProxyType({"gemini-flash": "gemini-2.5-flash"})
"""What releases before 1.0 called a model, and its name in the price table: they called no other Flash."""

_NAMES_IN_0_1: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "user_input": ("user_query", "query"),
        "ai_response": ("response_text", "response"),
        "personality_id": ("personality_used", "personality"),
        "feedback_rating": ("user_rating", "rating"),
        "sequence_number": ("sequence",),
    }
)
"""What 0.2 calls a field, and where ``interaction_data`` has it: as stored, or as callers handed it over."""

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
"""What a document says of itself; the data in its envelope cannot say it for it."""

_ONLY_IN_0_2 = ("context_data", "user_input", "ai_response")
_NOT_YET_IN_0_2 = ("user_query", "response_text", "response_metadata", "cost_data")


def _part(document: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return a part that a step must open; one that is missing is empty."""
    part = document.get(field)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise DocumentError(field, f"is not an object but {quote(part)}")
    return part


def _first(part: Mapping[str, Any], names: Iterable[str]) -> object:
    """Return the first value there is under any of these names."""
    return next((part[name] for name in names if part.get(name) is not None), None)


def _without(document: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in fields}


def _fill(document: dict[str, Any], values: Mapping[str, object]) -> None:
    """Set what there is a value for; fields that already have one keep it."""
    for name, value in values.items():
        if value is not None and document.get(name) is None:
            document[name] = value


def _opened(document: Mapping[str, Any], called: str, type_: str) -> dict[str, Any]:
    """Return what an envelope says of itself, under today's name of its type."""
    opened = _without(document, *_ENVELOPE)
    if opened.get("document_type") == called:
        opened["document_type"] = type_
    return opened


def _known(value: object) -> object:
    # Releases before 1.0 wrote 0 where they had not measured; no call takes 0 tokens or no time.
    return None if value == 0 and not isinstance(value, bool) else value


# --- interactions -------------------------------------------------------------------------------------------


def interaction_version(document: Mapping[str, Any]) -> str:
    """Tell the version of an interaction that does not say it."""
    if document.get("document_type") == "interaction" or document.get("interaction_data") is not None:
        return "0.1"
    if any(document.get(field) is not None for field in _NOT_YET_IN_0_2):
        return "1.0"
    return "0.2" if any(document.get(field) is not None for field in _ONLY_IN_0_2) else "1.0"


def interaction_to_0_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """Take the data out of the envelope.

    Raises
    ------
    DocumentError
        ``interaction_data`` is no object.
    """
    data = _part(document, "interaction_data")
    flat = _opened(document, "interaction", "user_interaction")
    _fill(flat, {name: _first(data, names) for name, names in _NAMES_IN_0_1.items()})
    _fill(flat, {"context_data": {name: _first(data, names) for name, names in _USAGE_IN_0_1.items()}})
    moved = {name for names in (*_NAMES_IN_0_1.values(), *_USAGE_IN_0_1.values()) for name in names}
    _fill(flat, _without(data, *moved, *_OF_THE_DOCUMENT))
    return flat


def interaction_to_1_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """Rename what 1.0 calls otherwise, and put model and tokens where it has them.

    Both token counts 0, or a response time of 0, is how these releases wrote "not measured".

    Raises
    ------
    DocumentError
        ``context_data`` is no object.
    """
    usage = _part(document, "context_data")
    renamed = _without(document, "context_data", "user_input", "ai_response", "personality_id")
    model = _today(usage.get("model_used"))
    tokens = {name: usage.get(name) for name in ("input_tokens", "output_tokens")}
    if all(_known(count) is None for count in tokens.values()):
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
    renamed["response_time_ms"] = _known(document.get("response_time_ms"))
    # 0.2 has the rating here a second time; an object is the feedback of today.
    if not isinstance(document.get("user_feedback"), Mapping):
        rating = renamed.pop("user_feedback", None)
        _fill(renamed, {"user_rating": rating})
    renamed.pop("feedback_rating", None)
    return renamed


def interaction_to_1_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give a document without ``cost_data`` one that says what is known: the model, and no tokens.

    The specification's example writes 0 tokens; that would be a cost of zero that nobody measured.
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


def _today(model: object) -> object:
    return MODEL_NAMES.get(model, model) if isinstance(model, str) else model


# --- sessions -----------------------------------------------------------------------------------------------


def session_version(document: Mapping[str, Any]) -> str:
    """Tell the version of a session that does not say it."""
    if document.get("document_type") == "session" or document.get("session_data") is not None:
        return "0.1"
    if document.get("session_quality") is not None or document.get("interactions_count") is not None:
        return "0.2"
    return "1.0"


def session_to_0_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """Take the data out of the envelope.

    Raises
    ------
    DocumentError
        ``session_data`` is no object.
    """
    flat = _opened(document, "session", "user_session")
    _fill(flat, _without(_part(document, "session_data"), *_OF_THE_DOCUMENT))
    _fill(flat, {"created_at": document.get("timestamp")})
    return flat


def session_to_1_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the status, and drop a count of interactions that was written once, as 0, and never kept up."""
    renamed = _without(document, "session_quality", "interactions_count")
    _fill(renamed, {"status": document.get("session_quality")})
    return renamed


# --- users and incidents ------------------------------------------------------------------------------------


def user_version(document: Mapping[str, Any]) -> str:
    """Tell the version of an account that does not say it: before 1.0 consent was a field of its own."""
    return "0.1" if document.get("analytics_consent") is not None else "1.0"


def user_to_1_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """Put consent to analytics where 1.0 has it: else somebody who refused would count as never asked."""
    settings = document.get("privacy_settings")
    if settings is not None and not isinstance(settings, Mapping):
        return dict(document)  # which parsing refuses
    newer = _without(document, "analytics_consent")
    newer["privacy_settings"] = dict(settings or {})
    _fill(newer["privacy_settings"], {"analytics_consent": document.get("analytics_consent")})
    return newer


def incident_version(_: Mapping[str, Any]) -> str:
    """Tell the version of an incident that does not say it."""
    return "1.0"
