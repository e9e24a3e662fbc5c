"""How times, scores, schema versions and accounts are read, from ``docs/input.md``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from tests.independent.trigger import rewritten

Document = dict[str, Any]

NEWEST = {"user_interactions": (1, 1), "user_sessions": (1, 0), "abuse_incidents": (1, 0), "users": (1, 0)}
OLDER = {"user_interactions": ("0.1", "0.2", "1.0"), "user_sessions": ("0.1", "0.2"), "users": ("0.1",)}

SCORES = {
    "user_interactions": (
        ("foundational_texts_used", "relevance_score"),
        ("rag_metadata", "avg_relevance_score"),
        ("quality_metrics", "response_relevance"),
        ("quality_metrics", "citation_accuracy"),
        ("quality_metrics", "safety_score"),
    ),
    "user_sessions": (("content_depth_score",), ("session_quality_score",)),
}
"""Where documents have scores, which cost only themselves if they are wrong."""

SKEW = timedelta(minutes=1)
ROUNDING = 1e-6
READ_CITATIONS = 50


# --- times ---


def time_of(text: object) -> datetime | None:
    """Return a time in UTC, None for what is none. What the trigger makes a time is one."""
    if not isinstance(text, str):
        return None
    return _time_of(text) or _time_of(rewritten(text, host_offset=0))


@lru_cache(100_000)
def _time_of(text: str) -> datetime | None:
    day, rest = text[:10], text[10:]
    try:
        if [len(part) for part in day.split("-")] != [4, 2, 2]:
            return None
        year, month, number = map(_digits, day.split("-"))
        moment = datetime(year, month, number, tzinfo=UTC)
        if rest:
            if rest[0] not in "Tt ":
                return None
            moment += _since_midnight(rest[1:])
    except (ValueError, OverflowError):
        return None
    return moment


def _since_midnight(text: str) -> timedelta:
    """Return clock minus offset.

    Raises
    ------
    ValueError
        It is no clock with an offset, or without.
    """
    clock, sign, offset = text, 1, "0"
    if text[-1:] in ("Z", "z"):
        clock = text[:-1]
    elif "+" in text or "-" in text:
        at = max(text.rfind("+"), text.rfind("-"))
        clock, sign, offset = text[:at], 1 if text[at] == "+" else -1, text[at + 1 :]
        if not re.fullmatch(r"([01]\d|2[0-3])(:?[0-5]\d)?", offset, re.ASCII):
            raise ValueError(text)
        offset = offset.replace(":", "")
    minutes = _digits(offset[:2]) * 60 + _digits(offset[2:] or "0") if len(offset) > 1 else 0
    whole, _, fraction = clock.replace(",", ".").partition(".")
    parts = whole.split(":")
    if any(len(part) != 2 for part in parts) or len(parts) not in (2, 3):
        raise ValueError(text)
    if ("." in clock or "," in clock) and (len(parts) == 2 or not 1 <= len(fraction) <= 9):
        raise ValueError(text)
    hour, minute, second = (*map(_digits, parts), 0)[:3]
    micro = _digits((fraction + "000000")[:6]) if _digits(fraction or "0") >= 0 else 0
    is_midnight = (hour, minute, second) == (24, 0, 0) and not _digits(fraction or "0")
    if (hour > 23 and not is_midnight) or minute > 59 or second > 59:
        raise ValueError(text)
    since = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)
    return since - sign * timedelta(minutes=minutes)


def _digits(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


# --- schema versions ---


def is_of_unreadable_version(document: Document, source: str) -> bool:
    """Say whether a document says a version that is none, unknown, or of a newer major number."""
    said = [
        document[name] for name in ("schema_version", "profile_version") if document.get(name) is not None
    ]
    return any(not _is_readable(version, source) for version in said)


def _is_readable(version: object, source: str) -> bool:
    pair = _pair(version)
    if pair is None:
        return False
    newest = NEWEST[source]
    name = f"{pair[0]}.{pair[1]}"
    return name in OLDER.get(source, ()) or (pair[0] == newest[0] and pair >= newest)


def _pair(version: object) -> tuple[int, int] | None:
    parts = version.split(".") if isinstance(version, str) else []
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) <= 4 for p in parts):
        return None
    return int(parts[0]), int(parts[1])


def is_of_newer_version(document: Document, source: str) -> bool:
    """Say whether a readable document has a version after the newest."""
    said = document.get("schema_version")
    pair = _pair(document.get("profile_version") if said is None else said)
    return pair is not None and pair > NEWEST[source]


# --- scores ---


def with_scores(document: Document, source: str) -> Document:
    """Return a document in which wrong scores are missing, with their number under ``dropped_scores``."""
    read, dropped = dict(document), 0
    for *above, name in SCORES.get(source, ()):
        if not above:
            dropped += _clean(read, name)
            continue
        block = read.get(above[0])
        if isinstance(block, dict):
            read[above[0]] = block = dict(block)
            dropped += _clean(block, name)
        elif isinstance(block, list):
            read[above[0]] = cited = [dict(entry) for entry in block[:READ_CITATIONS]] + block[
                READ_CITATIONS:
            ]
            dropped += sum(_clean(entry, name) for entry in cited[:READ_CITATIONS])
    return read | {"dropped_scores": dropped}


def _clean(block: Document, name: str) -> int:
    score = block.get(name)
    if score is None:
        return 0
    is_number = isinstance(score, int | float) and not isinstance(score, bool)
    if not is_number or not -ROUNDING <= score <= 1 + ROUNDING:
        block[name] = None
        return 1
    block[name] = min(1, max(0, score))
    return 0


# --- accounts ---


def owner_of(account: Document) -> str | None:
    """Return whose account it is."""
    for name in ("user_id", "partition_key"):
        if _is_identifier(account.get(name)):
            return str(account[name])
    if not isinstance(account.get("id"), str):
        return None
    rest = str(account["id"]).removeprefix("user_")
    return rest if _is_identifier(rest) else None


def _is_identifier(value: object) -> bool:
    if not isinstance(value, str) or not 1 <= len(value) <= 255:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


CONSENTS = ("analytics_consent", "data_collection_consent", "data_retention_consent")


def refuses(account: Document) -> bool:
    """Say whether an account refuses, or cannot be read."""
    settings = account.get("privacy_settings")
    if not isinstance(settings, dict | None) or is_of_unreadable_version(account, "users"):
        return True
    answers = {}
    for name in CONSENTS:
        inside, outside = (settings or {}).get(name), account.get(name)
        if not isinstance(inside, bool | None) or not isinstance(outside, bool | None):
            return True
        answers[name] = outside if inside is None else inside
    if is_of_newer_version(account, "users") and answers["analytics_consent"] is None:
        return True
    status, created = account.get("account_status"), account.get("created_at")
    if not isinstance(status, str | None) or (status or "").strip().lower() not in (
        "",
        "active",
        "suspended",
    ):
        return True
    moment = None if created is None else time_of(created)
    is_wrong = created is not None and (moment is None or not 2000 <= moment.year < 2100)
    named = account.get("user_id")
    ids = [account.get("id"), owner_of(account) if named is None else named]
    return is_wrong or not all(map(_is_identifier, ids)) or False in answers.values()
