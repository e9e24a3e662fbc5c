"""Which poison rows an operator means, as queries; and rows grouped by their cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.cosmos.queries import Query
from shared.poison.rows import Status
from shared.units import iso

LISTED = (
    "id", "source_container", "handler", "document_id", "error_type", "error_field", "error_message",
    "attempts", "first_failed_at", "last_failed_at", "status", "status_changed_at", "status_changed_by",
    "source_etag", "_etag", "redaction",
)  # fmt: skip
"""Fields of a listed row: all except the document and the trace."""

CAUSE = ("source_container", "handler", "error_type", "error_field")
"""Fields that are equal for rows of one cause."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows with all of the given properties; all rows if none is given.

    Attributes
    ----------
    since
        Rows whose last failure was at this time or later.
    """

    status: Status | None = None
    source: str | None = None
    handler: str | None = None
    error_type: str | None = None
    field: str | None = None
    since: datetime | None = None

    def rows(self, limit: int | None) -> tuple[Query, dict[str, Any]]:
        """Return the query of the rows, the latest failure first, and its values."""
        where, values = self._where()
        fields = ", ".join(f"c.{name}" for name in LISTED)
        if limit is not None:
            values["limit"] = limit
        top = "" if limit is None else "TOP @limit "
        text = f"SELECT {top}{fields} FROM c{where} ORDER BY c.last_failed_at DESC"
        return Query("poison_rows", text), values

    def count(self) -> tuple[Query, dict[str, Any]]:
        """Return the query of the number of rows, and its values."""
        where, values = self._where()
        return Query("poison_count", f"SELECT COUNT(1) AS count FROM c{where}"), values

    def groups(self) -> tuple[Query, dict[str, Any]]:
        """Return the query of the rows by cause, and its values."""
        where, values = self._where()
        cause = ", ".join(f"c.{name}" for name in CAUSE)
        text = (
            f"SELECT {cause}, COUNT(1) AS count, MIN(c.first_failed_at) AS first_failed_at, "
            f"MAX(c.last_failed_at) AS last_failed_at, MIN(c.id) AS example FROM c{where} GROUP BY {cause}"
        )
        return Query("poison_groups", text), values

    def _where(self) -> tuple[str, dict[str, Any]]:
        given = {
            "status": None if self.status is None else self.status.value,
            "source_container": self.source,
            "handler": self.handler,
            "error_type": self.error_type,
            "error_field": self.field,
        }
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        conditions = [f"c.{name} = @{name}" for name in values]
        if self.since is not None:
            # Stored times have milliseconds or not, and "14:45:00.5Z" is less than "14:45:00Z" as text.
            values["since"] = iso(self.since).removesuffix("Z")
            conditions.append("c.last_failed_at >= @since")
        return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values


class Cause(NamedTuple):
    """Why documents failed: rows with the same cause form a group."""

    source: str
    handler: str
    error_type: str
    field: str | None


@dataclass(slots=True)
class PoisonGroup:
    """Rows of one cause."""

    cause: Cause
    count: int
    first_failed_at: str
    last_failed_at: str
    example: str
    """Id of one of the rows."""


def grouped(answers: Iterable[Mapping[str, Any]]) -> list[PoisonGroup]:
    """Return the groups of the answers of :meth:`Selection.groups`, the largest first.

    The service answers page by page, and a cause may be on several pages.
    """
    groups: dict[Cause, PoisonGroup] = {}
    for answer in answers:
        cause = Cause(*(answer.get(name) for name in CAUSE))  # type: ignore[arg-type]  # as poison_row writes them
        first, last, example = (answer[name] for name in ("first_failed_at", "last_failed_at", "example"))
        known = groups.setdefault(cause, PoisonGroup(cause, 0, first, last, example))
        known.count += answer["count"]
        known.first_failed_at = min(known.first_failed_at, first)
        known.last_failed_at = max(known.last_failed_at, last)
        known.example = min(known.example, example)
    return sorted(groups.values(), key=lambda group: (-group.count, group.example))
