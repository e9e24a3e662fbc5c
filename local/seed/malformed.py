"""Documents that a buggy client wrote: the database stores them, the fleet must not count them.

Every kind here breaks a rule of the specification's document in one place only, so that the error in
``poison_messages`` can be checked against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

Document = dict[str, Any]

ENORMOUS_CHARACTERS = 1_900_000
"""1.9 MB of text: below the service's limit of 2 MB per item, far above any answer."""


def _without_user(document: Document) -> None:
    del document["user_id"]


def _without_time(document: Document) -> None:
    # One of the two would do: the fleet takes created_at where timestamp is missing.
    del document["timestamp"], document["created_at"]


def _set(*path: str, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        block = document
        for name in path[:-1]:
            block = block[name]
        block[path[-1]] = value

    return change


DEFECTS: dict[str, Callable[[Document], None]] = {
    "user_id_missing": _without_user,
    "user_id_null": _set("user_id", value=None),
    "user_id_is_a_number": _set("user_id", value=4711),
    "input_tokens_negative": _set("cost_data", "input_tokens", value=-234),
    "output_tokens_fractional": _set("cost_data", "output_tokens", value=456.5),
    "input_tokens_not_numeric": _set("cost_data", "input_tokens", value="two hundred"),
    "output_tokens_absurd": _set("cost_data", "output_tokens", value=10**15),
    "rating_too_high": _set("user_rating", value=9),
    "rating_zero": _set("user_rating", value=0),
    "timestamp_impossible": _set("timestamp", value="2025-02-30T25:61:00Z"),
    "time_missing": _without_time,
    "schema_version_unknown": _set("schema_version", value="9.0"),
    "citations_not_a_list": _set("foundational_texts_used", value="bhagavad_gita 2.47"),
}
"""Kinds of malformed documents, and how each one is made from a valid document."""

SESSION_DEFECTS: dict[str, Callable[[Document], None]] = {
    "ends_before_it_starts": _set("end_time", value="2001-01-01T00:00:00Z"),
    "duration_negative": _set("duration_seconds", value=-503),
    "interaction_count_implausible": _set("interaction_count", value=10**9),
    "interaction_count_fractional": _set("interaction_count", value=2.5),
    "satisfaction_too_high": _set("user_satisfaction_rating", value=11),
    "start_impossible": _set("start_time", value="2025-13-01T00:00:00Z"),
}
"""The same for sessions. None touches the partition key: a session is broken when it is written again."""

INCIDENT_DEFECTS: dict[str, Callable[[Document], None]] = {
    "user_id_missing": _without_user,
    "incident_type_is_a_number": _set("incident_type", value=3),
    "severity_is_a_list": _set("severity", value=["high", "critical"]),
    "actions_not_a_list": _set("actions_taken", value="warning_issued"),
    "created_at_impossible": _set("created_at", value="2025-02-30T25:61:00Z"),
    "resolution_time_not_a_time": _set("resolution", "resolution_timestamp", value="soon"),
}
"""The same for incidents. An unknown type or severity is no defect: it is counted as unknown."""

ENORMOUS = "text_enormous"
"""One more kind, used once per seed at most because of its size."""


def kinds_for(count: int) -> list[str]:
    """Return the kinds of ``count`` malformed documents: every kind before any a second time."""
    names = list(DEFECTS)
    return [ENORMOUS if position == len(names) else names[position % len(names)] for position in range(count)]


def break_document(document: Document, kind: str) -> Document:
    """Return a copy of ``document`` with the defect ``kind``.

    Raises
    ------
    KeyError
        There is no such kind.
    """
    broken = _copy(document)
    if kind == ENORMOUS:
        broken["user_query"] = "why? " * (ENORMOUS_CHARACTERS // 5)
        return broken
    broken.setdefault(
        "cost_data", {"input_tokens": 234, "output_tokens": 456, "model_used": "gemini-2.5-flash"}
    )
    DEFECTS[kind](broken)
    return broken


def break_as(document: Document, defects: Mapping[str, Callable[[Document], None]], kind: str) -> Document:
    """Return a copy of a session or an incident with the defect ``kind`` of ``defects``.

    Raises
    ------
    KeyError
        There is no such kind.
    """
    broken = _copy(document)
    defects[kind](broken)
    return broken


def drawn_defects(
    count: int, share: float, defects: Mapping[str, Callable[[Document], None]], random: Random
) -> dict[int, str]:
    """Draw which of ``count`` documents are malformed, and how: one at least, if there are ten or more."""
    broken = max(round(count * share), 1 if share and count >= 10 else 0)
    names = list(defects)
    first = random.randrange(len(names))
    positions = random.sample(range(count), broken)
    return {position: names[(first + turn) % len(names)] for turn, position in enumerate(positions)}


def _copy(document: Document) -> Document:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in document.items()}
