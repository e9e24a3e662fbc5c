"""The largest documents of each container. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

_KIND = re.compile(r"[a-z_]+(?:\|[a-z_]+)*(?=\|)")
"""The beginning of an id that says what it is an id of: ``partial|day`` of ``partial|day|2026-01-31``."""

ANY = "document"
"""Of an id without kinds."""


def kind_of(document_id: str) -> str:
    """Return what an id is an id of, without what tells it from others of the kind."""
    found = _KIND.match(document_id)
    return found.group() if found else ANY


@dataclass(slots=True)
class Sizes:
    """Documents of one container: how many, how large together, and the largest of each kind of id."""

    documents: int = 0
    total_bytes: int = 0
    largest: dict[str, int] = field(default_factory=dict)

    def add(self, document: dict[str, Any]) -> None:
        """Measure one document, with the system properties that the service adds."""
        size = len(orjson.dumps(document))
        self.documents += 1
        self.total_bytes += size
        kind = kind_of(str(document["id"]))
        self.largest[kind] = max(size, self.largest.get(kind, 0))

    @property
    def most(self) -> tuple[str, int]:
        """The kind of id with the largest document, and its bytes."""
        return max(self.largest.items(), key=lambda one: one[1], default=("", 0))

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        ordered = sorted(self.largest.items(), key=lambda one: -one[1])
        return {"documents": self.documents, "bytes": self.total_bytes, "largest": dict(ordered)}
