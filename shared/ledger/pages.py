"""Ledger pages: the record of counted documents in ``view_state``.

A page holds the facts of one source, shard and hour, by user and document id. If a page is full, the hour
continues in another part. The person's record knows the hours of their documents
(:mod:`shared.aggregates.document_index`), so that the page of a document whose time was corrected is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from shared.facts import FACT_SCHEMA, Fact, Uncounted, decode_fact
from shared.ledger.document_version import Version
from shared.ledger.shards import ShardId
from shared.ledger.sizes import ENVELOPE_BYTES, MAX_PAGE_BYTES, PAGE_BYTES
from shared.units import EventHour, Millis, json_bytes

LEDGER = "ledger"

_FIRST_SCHEMA = 1

_ENTRY_OVERHEAD = 6
"""Bytes of an entry besides its ids, version and fact: colons, commas and braces."""


class Entry(NamedTuple):
    """A page's record of one document: the counted version and its fact."""

    version: Version
    fact: Fact | Uncounted

    def encode(self) -> dict[str, Any]:
        """Return the form in which it is stored."""
        return {"v": self.version.encode(), "f": self.fact.encode()}


def page_id(source: str, hour: EventHour, part: int = 0) -> str:
    """Return the id of a ledger page."""
    return f"{LEDGER}|{source}|{hour}" + (f"|{part}" if part else "")


def entry_size(user_id: str, document_id: str, stored: Mapping[str, Any]) -> int:
    """Return the estimated number of bytes that an entry adds to its page."""
    return json_bytes(stored) + json_bytes(user_id) + json_bytes(document_id) + _ENTRY_OVERHEAD


@dataclass(slots=True)
class Page:
    """One part of one hour of one source in one shard."""

    shard: ShardId
    source: str
    hour: EventHour
    part: int = 0
    parts: int = 1
    """Number of parts of the hour. Valid on the first part only."""
    revision: int = 0
    entries: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Stored entries by user and document id. :meth:`get` decodes them."""
    size: int = 0
    """Estimated bytes of the entries."""
    ttl: int = 1
    """Seconds from its write to its end: :class:`~shared.ledger.retention.Retention` sets it."""
    schema: int | None = None
    """Lowest :data:`~shared.facts.FACT_SCHEMA` of all entries since the page was empty last."""

    @property
    def id(self) -> str:
        """The id of the stored document."""
        return page_id(self.source, self.hour, self.part)

    @property
    def name(self) -> str:
        """The id without the prefix that all pages share."""
        return self.id.removeprefix(f"{LEDGER}|")

    def get(self, user_id: str, document_id: str) -> Entry | None:
        """Return the entry of a document, None if it is not on this page."""
        stored = self.entries.get(user_id, {}).get(document_id)
        if stored is None:
            return None
        return Entry(Version.decode(stored["v"]), decode_fact(self.source, user_id, stored["f"]))

    def stored_fact(self, user_id: str, document_id: str) -> Mapping[str, Any]:
        """Return the encoded fact of an entry on this page."""
        fact: Mapping[str, Any] = self.entries[user_id][document_id]["f"]
        return fact

    def put(self, user_id: str, document_id: str, entry: Entry) -> None:
        """Set the entry of a document."""
        documents = self.entries.setdefault(user_id, {})
        stored = entry.encode()
        if document_id in documents:
            self.size -= entry_size(user_id, document_id, documents[document_id])
        self.size += entry_size(user_id, document_id, stored)
        documents[document_id] = stored
        newest = FACT_SCHEMA[self.source]
        self.schema = newest if self.schema is None else min(self.schema, newest)

    def remove(self, user_id: str, document_id: str) -> None:
        """Remove the entry of a document.

        Raises
        ------
        KeyError
            The page has no such entry.
        """
        documents = self.entries[user_id]
        self.size -= entry_size(user_id, document_id, documents.pop(document_id))
        if not documents:
            del self.entries[user_id]
        if not self.entries:
            self.schema = None

    def __iter__(self) -> Iterator[tuple[str, str, Entry]]:
        """Yield user id, document id and entry of each document on the page."""
        for user_id, documents in self.entries.items():
            for document_id, stored in documents.items():
                fact = decode_fact(self.source, user_id, stored["f"])
                yield user_id, document_id, Entry(Version.decode(stored["v"]), fact)

    def between(self, start: Millis, end: Millis) -> Iterator[Fact]:
        """Yield the facts with a time from ``start`` on and before ``end``."""
        for user_id, documents in self.entries.items():
            for stored in documents.values():
                if start <= stored["f"].get("t", end) < end:
                    fact = decode_fact(self.source, user_id, stored["f"])
                    if isinstance(fact, Fact):
                        yield fact

    @property
    def full(self) -> bool:
        """Whether new entries must go to the next part."""
        return self.size >= PAGE_BYTES

    def has_room_for(self, entry: Entry, before: Entry) -> bool:
        """Return whether an entry fits on this page instead of its older version. A smaller one does."""
        growth = json_bytes(entry.encode()) - json_bytes(before.encode())
        return growth <= 0 or self.size + growth <= MAX_PAGE_BYTES

    @property
    def weight(self) -> int:
        """Estimated bytes of the stored document."""
        return ENVELOPE_BYTES + self.size

    def copy(self) -> Page:
        """Return an independent copy of the page."""
        return Page(
            self.shard,
            self.source,
            self.hour,
            self.part,
            self.parts,
            self.revision,
            {user_id: dict(documents) for user_id, documents in self.entries.items()},
            self.size,
            schema=self.schema,
        )

    def encode(self) -> dict[str, Any]:
        """Return the stored document."""
        return {
            "id": self.id,
            "shard": self.shard,
            "kind": LEDGER,
            "source": self.source,
            "hour": self.hour,
            "part": self.part,
            "parts": self.parts,
            "revision": self.revision,
            "size": self.size,
            "schema": self.schema,
            "entries": self.entries,
            "ttl": self.ttl,
        }

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read a stored document."""
        return cls(
            ShardId(stored["shard"]),
            stored["source"],
            EventHour(stored["hour"]),
            stored["part"],
            stored["parts"],
            stored["revision"],
            stored["entries"],
            stored["size"],
            # The first pages do not say it, and have facts of the first schema.
            schema=stored.get("schema", _FIRST_SCHEMA),
        )
