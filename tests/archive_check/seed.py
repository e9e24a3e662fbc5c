"""The documents: the same for the same number, whoever asks. Imports nothing of the fleet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

PEOPLE = 500
NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)
"""When the documents are archived."""
AGES = {"user_interactions": 200, "user_sessions": 70, "abuse_incidents": 400}
YOUNG = {"user_interactions": 179, "user_sessions": 59, "abuse_incidents": 364}
"""Days before now at which aged and young documents are written."""

CONTAINERS = ("user_interactions", "user_sessions", "abuse_incidents")
TIME_FIELDS = {
    "user_interactions": "timestamp",
    "user_sessions": "start_time",
    "abuse_incidents": "created_at",
}


def container_of(number: int) -> str:
    """Return the container of a document: most are interactions."""
    return CONTAINERS[0] if number % 10 < 7 else CONTAINERS[1] if number % 10 < 9 else CONTAINERS[2]


def document(number: int, name: str = "aged") -> dict[str, Any]:
    """Return a document of the number's container."""
    of = container_of(number)
    moment = NOW - timedelta(days=AGES[of], seconds=17 * number)
    made: dict[str, Any] = {
        "id": f"{name}/{number:06d}" if number % 50 == 0 else f"{name}_{number:06d}",
        "user_id": f"user {number * 7919 % PEOPLE}",
        TIME_FIELDS[of]: moment.isoformat().replace("+00:00", "Z"),
    }
    if of == "user_interactions":
        made["user_query"] = f"Question {number}? " * 20
        made["response_text"] = f"Answer {number}: अर्जुन. " * 60
        made["cost_data"] = {"input_tokens": number, "output_tokens": 7, "model_used": "gemini-2.5-flash"}
    elif of == "user_sessions":
        made["session_token"] = f"secret-{number}"
        made["interaction_count"] = number % 20
    else:
        made["severity"] = "low"
        made["review_notes"] = f"Note {number}. " * 10
    return made
