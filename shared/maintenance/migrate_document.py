"""What a migration does with one document: leave it, rewrite it, or move it. Pure.

A rewritten document has the same figures and ends at the same time. A document for which that cannot be said
is left as it is: the fleet brings it up to date whenever it reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.containers import ARCHIVE_ALERT_DAYS, DAY
from shared.containers import container as catalogued
from shared.documents.versions import (
    ABUSE_INCIDENT,
    HISTORIES,
    PERSONALITY_CONTENT,
    PERSONALITY_PROFILE,
    USER,
    USER_INTERACTION,
    USER_SESSION,
    VERSION_FIELDS,
    upcast,
)
from shared.errors import DocumentError, MigrationError
from shared.views.reference import Reference, ReferenceCounter

PERSONALITIES = "personalities"
PERSONALITY_VECTORS = "personality_vectors"

DOCUMENT_TYPES: Mapping[str, str] = {
    "users": USER,
    "user_sessions": USER_SESSION,
    "user_interactions": USER_INTERACTION,
    "abuse_incidents": ABUSE_INCIDENT,
    PERSONALITIES: PERSONALITY_PROFILE,
    PERSONALITY_VECTORS: PERSONALITY_CONTENT,
}
"""The containers whose documents have versions, and the type of their documents."""

SYSTEM_FIELDS = frozenset({"_rid", "_self", "_etag", "_ts", "_attachments", "_lsn", "_metadata"})
"""Fields that the service writes."""

FIGURES = "figures"
"""What is named for a document that would count differently."""

Figures = Callable[[Mapping[str, Any]], object]
"""What is counted of a document. Raises :class:`DocumentError` if it cannot be read."""


@dataclass(frozen=True, slots=True)
class Current:
    """The document has the version already, or a newer one."""

    version: str


@dataclass(frozen=True, slots=True)
class Left:
    """The document stays as it is.

    Attributes
    ----------
    version
        None if it cannot be read.
    field
        The field that is the cause; :data:`FIGURES` if it would count differently.
    """

    version: str | None
    field: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The document's time is over: the service is about to delete it."""

    version: str


@dataclass(frozen=True, slots=True)
class Ageing:
    """The document would expire before its new age lets the archive copy it, so it stays as it is.

    The archive goes by the time of the last write, and copies documents of any version.
    """

    version: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The document is replaced where it is, or, if it belongs elsewhere, created there and deleted here."""

    version: str
    body: Mapping[str, Any]
    container: str
    """The container that the body belongs to."""
    moves: bool


Decision = Current | Left | Ending | Ageing | Rewrite


def decide(name: str, raw: Mapping[str, Any], to: str, *, now: float, figures: Figures) -> Decision:
    """Return what a migration does with a document.

    Parameters
    ----------
    name
        The container that it was read from.
    to
        The version to bring it to.
    now
        The time in seconds since the epoch.
    """
    is_misplaced = name == PERSONALITY_VECTORS and raw.get("document_type") == PERSONALITY_PROFILE
    target = PERSONALITIES if is_misplaced else name
    document_type = DOCUMENT_TYPES[target]
    history = HISTORIES[document_type]
    to = history.newest if is_misplaced else to
    try:
        version = history.version_of(raw)
    except DocumentError as error:
        return Left(None, error.field)
    order = history.versions.index
    if order(version) >= order(to) and not is_misplaced:
        return Current(version)
    try:
        before = figures(raw)
        body = _rewritten(document_type, raw, to)
        after = figures({**body, **{field: raw[field] for field in SYSTEM_FIELDS if field in raw}})
    except DocumentError as error:
        return Left(version, error.field)
    if before != after and not is_misplaced:
        return Left(version, FIGURES)
    return _placed(name, target, raw, body, version, now)


def _rewritten(document_type: str, raw: Mapping[str, Any], to: str) -> dict[str, Any]:
    newer = upcast(document_type, raw, to)
    body = {field: value for field, value in newer.items() if field not in SYSTEM_FIELDS}
    return body | dict.fromkeys(VERSION_FIELDS, to)


def _placed(
    name: str, target: str, raw: Mapping[str, Any], body: dict[str, Any], version: str, now: float
) -> Decision:
    key = catalogued(target).partition_key.removeprefix("/")
    if name != target and not isinstance(body.get(key), str):
        return Left(version, key)
    left = seconds_left(raw, catalogued(name).default_ttl, now)
    if left is not None:
        if left <= 0:
            return Ending(version)
        archived_after = catalogued(name).archive_after
        if archived_after is not None and left < (archived_after + ARCHIVE_ALERT_DAYS) * DAY:
            return Ageing(version)
        body["ttl"] = left
    return Rewrite(version, body, target, moves=name != target or raw.get(key) != body.get(key))


def seconds_left(raw: Mapping[str, Any], default_ttl: int | None, now: float) -> int | None:
    """Return the seconds until the service deletes a document, None if it never does.

    A replaced document begins a new lifetime, so that it must be told what is left of the old one.
    """
    own = raw.get("ttl")
    lifetime = default_ttl if own is None else own
    if default_ttl is None or lifetime is None or lifetime == -1:
        return None
    return int(raw["_ts"] + lifetime - now)


def reference_figures(name: str, raw: Mapping[str, Any]) -> Reference:
    """Return what is known of texts or personas from one document of the content pipeline."""
    counter = ReferenceCounter()
    if name == PERSONALITIES:
        counter.add_personality(raw)
        return counter.reference()
    texts = (("translated", "english_translation"), ("explained", "detailed_explanation"))
    lengths = {field: len(raw[text]) for field, text in texts if isinstance(raw.get(text), str)}
    counter.add_vector({**raw, **lengths})
    return counter.reference()


def require_version(name: str, to: str) -> None:
    """Refuse a container whose documents have no versions, and a version that does not exist.

    Raises
    ------
    MigrationError
        The message names what there is.
    """
    if name not in DOCUMENT_TYPES:
        raise MigrationError(
            f"The documents of {name!r} have no schema versions; those of these containers have: "
            f"{', '.join(DOCUMENT_TYPES)}."
        )
    versions = HISTORIES[DOCUMENT_TYPES[name]].versions
    if to not in versions:
        raise MigrationError(f"{name} has no schema version {to!r}; it has {', '.join(versions)}.")
