"""Names of archived blobs: ``archived/{year}/{month}/{day}/{user_id}/{document_id}.json``. Pure.

Ids are percent-encoded, so that a name tells them again, while it has at most 1,024 characters. Beyond that
the segment of the document, and of the user if need be, is its start and a hash; the document's own ids are
in the blob. A ``=`` is never part of an encoded id. It begins what the archive adds:

=============  ==========================================================
``start=hXX``  the start of an encoded id, and the SHA-256 of the id
``=none``      the document has no user
``=empty``     the user id is the empty text
``=kK.XX``     the keyed hash of a user id, made with the key K
``id=v2``      the second content archived for the same document
=============  ==========================================================
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import NamedTuple
from urllib.parse import quote, unquote

PREFIX = "archived/"
LONGEST_NAME = 1_024
"""Characters of the longest name of a blob."""

START = 32
"""Characters that are left of a segment that is too long."""

NO_USER, EMPTY = "=none", "=empty"

_DAY = len("2026/11/29/")
_ENDING = ".json"
_VERSION_ROOM = len("=v9999")
_SHORT = START + len("=h") + 64
_LONGEST_DOCUMENT = LONGEST_NAME - len(PREFIX) - _DAY - len("/") - _VERSION_ROOM - len(_ENDING)
LONGEST_USER = _LONGEST_DOCUMENT - _SHORT
"""Characters of the longest segment of a user: the shortened segment of a document has room after it."""

_NAME = re.compile(
    rf"{PREFIX}(\d{{4}})/(\d\d)/(\d\d)/([^/]+)/([^/=]*(?:=h[0-9a-f]{{64}})?)(?:=v([1-9]\d*))?\.json"
)


class BlobName(NamedTuple):
    """A name, read."""

    day: date
    owner: str
    """The segment of the user."""
    document: str
    """The segment of the document, without its version."""
    version: int
    """1 for the first content that was archived for the document, 2 for the next."""

    @property
    def user_id(self) -> str | None:
        """The user id, None if the name does not tell it."""
        return _decoded(self.owner)

    @property
    def document_id(self) -> str | None:
        """The id of the document, None if the name does not tell it."""
        return _decoded(self.document)

    def text(self) -> str:
        """Return the name as the storage has it."""
        version = "" if self.version == 1 else f"=v{self.version}"
        return f"{day_prefix(self.day)}{self.owner}/{self.document}{version}{_ENDING}"


def blob_name(day: date, owner: str, document_id: str, version: int = 1) -> BlobName:
    """Return the name for a document.

    Parameters
    ----------
    owner
        The segment of the user, from :func:`owner_segment`.
    """
    whole = encoded(document_id)
    fits = len(owner) + len(whole) <= _LONGEST_DOCUMENT
    return BlobName(day, owner, whole if fits else shortened(document_id), version)


def owner_segment(user_id: str | None) -> str:
    """Return the segment of a user. It depends on nothing else, so that it finds all blobs of the user."""
    if user_id is None:
        return NO_USER
    if not user_id:
        return EMPTY
    whole = encoded(user_id)
    return whole if len(whole) <= LONGEST_USER else shortened(user_id)


def hashed_owner(key_id: str, digest: str) -> str:
    """Return the segment of a user whose id is not archived."""
    return f"=k{encoded(key_id)}.{encoded(digest)}"


def document_segments(document_id: str) -> tuple[str, str]:
    """Return both segments that a document of this id may have."""
    return encoded(document_id), shortened(document_id)


def parse_name(name: str) -> BlobName | None:
    """Return a name that the archive gave, None for any other."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    year, month, day, owner, document, version = found.groups()
    try:
        of = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return BlobName(of, owner, document, int(version or 1))


def day_prefix(day: date) -> str:
    """Return the start of the names of a day."""
    return f"{PREFIX}{day:%Y/%m/%d}/"


def encoded(text: str) -> str:
    """Return a text as a segment of a name, which :func:`unquote` reverses.

    Points at the end are encoded too: clients take ``.`` and ``..`` for steps of a path, and the service
    advises against segments that end with a point.
    """
    whole = quote(text, safe="", errors="surrogatepass")
    plain = whole.rstrip(".")
    return plain + "%2E" * (len(whole) - len(plain))


def shortened(text: str) -> str:
    """Return the start of an encoded text, and the hash of the text."""
    start = encoded(text)[:START]
    cut = re.sub(r"%[0-9A-F]?\Z", "", start)
    return f"{cut}=h{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def _decoded(segment: str) -> str | None:
    if segment == EMPTY:
        return ""
    return None if "=" in segment else unquote(segment, errors="surrogatepass")
