"""Unique keys: within a logical partition no two items have the same values at a key's paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

from local.cosmos.partitioning import UNDEFINED, value_at


@dataclass(frozen=True, slots=True)
class UniqueKeys:
    """A container's unique keys, each a tuple of paths."""

    paths: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, policy: Mapping[str, Any]) -> Self:
        """Read a container's ``uniqueKeyPolicy``."""
        return cls(tuple(tuple(key["paths"]) for key in policy.get("uniqueKeys", [])))

    def __bool__(self) -> bool:
        return bool(self.paths)

    def keys(self, document: Mapping[str, Any]) -> set[bytes]:
        """Return what no other item of the logical partition may have too.

        A path that a document does not have counts as null: so it is in the service, where at most one item
        of a logical partition may lack it.
        """
        return {
            orjson.dumps([number, *(_value(document, path) for path in paths)])
            for number, paths in enumerate(self.paths)
        }


def _value(document: Mapping[str, Any], path: str) -> Any:
    value = value_at(document, path)
    if value is UNDEFINED:
        return None
    # To JSON 1 and 1.0 differ; to the service they are one number.
    return int(value) if isinstance(value, float) and value.is_integer() else value
