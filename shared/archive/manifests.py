"""Manifests: what a run archived of a feed range, in parts. Pure.

A part lists the blobs of one page of documents, with their hashes. Each blob is in one part, which its
metadata name, so that the entries of a person are found by the person's blobs.

A part is written twice: under ``unfinished/`` before its blobs, and under ``manifests/`` when all of them are
stored. An unfinished part is left by a process that died. The next run keeps of it what was stored.

Its keyed hash covers all of a part. A part that was changed by hand, without a key of the ring, is noticed.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.cosmos.change_feed import FeedRange
from shared.privacy.keyring import KeyRing

FINISHED, UNFINISHED = "manifests/", "unfinished/"


CHANGED = "changed by hand"
"""In place of the keyed hash of a part that was changed by hand before entries were removed from it."""


@dataclass(frozen=True, slots=True)
class Part:
    """The entries of one page."""

    id: str
    """Its name after the folder, without the ending."""
    container: str
    range: FeedRange
    entries: Mapping[str, str]
    """The SHA-256 of each blob, by its name."""
    erased: int = 0
    """Entries that were removed, because the documents of a person were erased."""
    days: tuple[str, ...] = ()
    """Of an unfinished part: the days of entries that were removed. The process that writes it may store such
    a blob even so, and die."""
    is_genuine: bool = True
    """Whether its keyed hash was right. A part that was changed by hand stays recognizable as such."""

    def only(self, names: Collection[str]) -> Part:
        """Return the part with the entries of these blobs. The others were not stored by it."""
        return replace(self, entries={name: self.entries[name] for name in self.entries if name in names})

    def without(self, names: Collection[str]) -> Part:
        """Return the part without the entries of blobs that are erased."""
        left = {name: digest for name, digest in self.entries.items() if name not in names}
        return replace(self, entries=left, erased=self.erased + len(self.entries) - len(left))

    def leading_to(self, days: Collection[str]) -> Part:
        """Return the part with the days of removed entries."""
        return replace(self, days=tuple(sorted({*self.days, *days})))

    def encode(self, ring: KeyRing) -> bytes:
        """Return the part as it is stored, with its keyed hash under the newest key."""
        body = self._body()
        return _canonical({**body, "hash": ring.hash(_hashed(body)).name if self.is_genuine else CHANGED})

    def _body(self) -> dict[str, Any]:
        return {
            "part": self.id,
            "container": self.container,
            "range": list(self.range),
            "documents": len(self.entries) + self.erased,
            "erased": self.erased,
            "entries": dict(self.entries),
            "days": list(self.days),
        }

    @classmethod
    def decode(cls, content: bytes, ring: KeyRing) -> Part | None:
        """Read a stored part, and check its keyed hash. None: it is no part, or no part any more."""
        try:
            stored = json.loads(content)
            found = str(stored.pop("hash", "")).encode()
            genuine = [
                hmac.compare_digest(each.name.encode(), found) for each in ring.candidates(_hashed(stored))
            ]
            match stored:
                case {
                    "part": str(of),
                    "container": str(container),
                    "range": [str(low), str(high)],
                    "entries": dict(entries),
                    "erased": int(erased),
                    "days": list(days),
                }:
                    feed_range = FeedRange(low, high)
                    return cls(of, container, feed_range, entries, erased, tuple(days), any(genuine))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        return None


def part_id(container: str, run: str, feed_range: FeedRange, token: str) -> str:
    """Return the id of a part: the container, the run, the range and a token that nothing else has."""
    return f"{container}/{run}/{feed_range.low or '00'}-{feed_range.high}/{token}"


def finished_name(part: str) -> str:
    """Return the name of the blob of a finished part."""
    return f"{FINISHED}{part}.json"


def unfinished_name(part: str) -> str:
    """Return the name of the blob of an unfinished part."""
    return f"{UNFINISHED}{part}.json"


def _hashed(body: Mapping[str, Any]) -> str:
    return f"manifest {_canonical(body).decode()}"


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()
