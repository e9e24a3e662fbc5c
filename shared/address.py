"""Where the service keeps a document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, Self


class Partition(Enum):
    """Partitions that no value names."""

    ABSENT = "absent"
    """That of the documents without the field that names the partition."""


class SourceAddress(NamedTuple):
    """The id and the partition of a source document, as it was delivered.

    They are not its key in the ledger: an account without ``user_id`` is in no partition of its owner.
    """

    id: str
    partition: str | float | bool | Partition | None
    rid: str | None = None
    """The service's own id of the document. It finds a document whose id or partition the change feed trigger
    rewrote."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self | None:
        """Return the address of a document of a source, None if it has no id.

        The partition is ``user_id``, of any type. The service keeps a document with an object or a list there
        as one without.
        """
        document_id, rid = document.get("id"), document.get("_rid")
        if not isinstance(document_id, str) or not document_id:
            return None
        partition = document.get("user_id", Partition.ABSENT)
        if partition is not None and not isinstance(partition, str | int | float | Partition):
            partition = Partition.ABSENT
        return cls(document_id, partition, rid if isinstance(rid, str) else None)
