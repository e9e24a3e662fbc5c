"""What is archived of a document: its copy, its own day, and the bytes with their hashes. Pure.

The copy is the document without secrets, and without what the service adds to it. So the copy of a document
is the same whenever it is made, and the fact of a copy is the fact of the document.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from shared.archive.names import hashed_owner, owner_segment
from shared.documents.common import CLOCK_TOLERANCE
from shared.documents.times import parse_time
from shared.documents.versions import ABUSE_INCIDENT, USER_INTERACTION, USER_SESSION, upcast
from shared.errors import DocumentError
from shared.privacy.classes import Place
from shared.privacy.fields import FIELDS
from shared.privacy.keyring import KeyedHash, KeyRing
from shared.privacy.redaction import without_secrets

ADDED_BY_THE_SERVICE = frozenset({"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn", "_metadata"})
"""System properties. They differ from write to write."""

RESTORED = "restored_from_archive"
"""Field of a document that was restored: when, and the day under which it is archived. No parser reads it,
and no copy has it."""

ANONYMOUS = "user_analytics"
"""Container whose copies have a keyed hash in place of the user id: the specification's
``hash_user_id_after_90_days``."""

_OWN_TIME: Mapping[str, tuple[str | None, tuple[str, ...]]] = {
    "user_interactions": (USER_INTERACTION, ("timestamp", "created_at")),
    "user_sessions": (USER_SESSION, ("start_time", "created_at")),
    "abuse_incidents": (ABUSE_INCIDENT, ("created_at", "detection_metadata.detection_timestamp")),
    "user_analytics": (None, ("period_start",)),
    "content_analytics": (None, ("period_start",)),
    "daily_metrics": (None, ("date",)),
}
"""The history of versions of each container's documents, and the fields with their own time, best first."""


class Copy(NamedTuple):
    """What is archived of a document."""

    owner: str
    """The segment of the user in the blob's name."""
    document_id: str
    """The id as the copy has it."""
    day: date
    is_dated: bool
    """Whether the day is the document's own. If not, it is that of its last write."""
    content: bytes
    left_out: bool
    """Whether fields are missing that the table of fields does not have, besides known secrets."""


def copy_of(container: str, document: Mapping[str, Any], ring: KeyRing) -> Copy:
    """Return what is archived of a document as the database has it."""
    own = own_day(container, document)
    day = own or _written_day(document)
    body = {name: value for name, value in document.items() if name not in ADDED_BY_THE_SERVICE}
    body.pop(RESTORED, None)
    left_out = False
    if container in FIELDS:
        permitted = without_secrets(container, body, Place.ARCHIVE)
        assert isinstance(permitted.document, dict)  # noqa: S101  a copy of an object
        body, left_out = permitted.document, any(path.endswith("*") for path in permitted.paths)
    user_id = body.get("user_id")
    if container == ANONYMOUS and isinstance(user_id, str):
        hashed = ring.hash(user_id)
        body = anonymous(body, user_id, hashed)
        owner = hashed_owner(*hashed)
    else:
        owner = owner_segment(user_id if isinstance(user_id, str) else None)
    return Copy(owner, body["id"], day, own is not None, encode(body), left_out)


def anonymous(body: Mapping[str, Any], user_id: str, hashed: KeyedHash) -> dict[str, Any]:
    """Return a document about a person with a keyed hash wherever it has the user id.

    Its id begins with the name of the container and a part of the user id.
    """
    replaced = {name: _replaced(value, user_id, hashed.name) for name, value in body.items()}
    start = f"{ANONYMOUS}_{re.sub(r'[^A-Za-z0-9_.-]', '_', user_id[:8])}_"
    document_id = str(body["id"])
    if document_id.startswith(start):
        replaced["id"] = f"{ANONYMOUS}_{hashed.digest[:16]}_{document_id.removeprefix(start)}"
    else:
        whole = f"{hashed.name} {document_id}".encode(errors="surrogatepass")
        replaced["id"] = f"{ANONYMOUS}_{hashlib.sha256(whole).hexdigest()}"
    return replaced


def _replaced(value: Any, user_id: str, by: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _replaced(each, user_id, by) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, user_id, by) for each in value]
    return by if value == user_id else value


def own_day(container: str, document: Mapping[str, Any]) -> date | None:
    """Return the day of a document's own time in UTC, None if it has none that is usable.

    A time more than a day after the write is not usable. A document that was restored without a usable time
    has the day under which it was archived.
    """
    history, fields = _OWN_TIME[container]
    newest = document
    if history is not None:
        try:
            newest = upcast(history, document)
        except DocumentError:
            newest = document  # of a version that this release does not know: its times may be read even so
    written = document.get("_ts")
    for path in fields:
        try:
            moment = parse_time(_at(newest, path))
        except ValueError:
            continue
        if not isinstance(written, int) or moment <= datetime.fromtimestamp(written, UTC) + CLOCK_TOLERANCE:
            return moment.astimezone(UTC).date()
    match document.get(RESTORED):
        case {"day": str(day)}:
            try:
                return date.fromisoformat(day)
            except ValueError:
                return None
    return None


def _at(document: Mapping[str, Any], path: str) -> object:
    value: object = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _written_day(document: Mapping[str, Any]) -> date:
    return datetime.fromtimestamp(document["_ts"], UTC).date()


def encode(body: Mapping[str, Any]) -> bytes:
    """Return a document as the archive stores it: the same bytes for the same content."""
    try:
        return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # an unpaired surrogate
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def sha256(content: bytes) -> str:
    """Return the hash of a blob's content, as its metadata and the manifests have it."""
    return hashlib.sha256(content).hexdigest()
