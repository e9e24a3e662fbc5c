"""Loaded documents of ``view_state``, and documents to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.ledger.pages import LEDGER, Page
from shared.ledger.partials import PARTIAL, Partial

StateDocument = Page | Partial


class Loaded(NamedTuple):
    """A stored document and the etag that guards its next write. Both are None if it does not exist."""

    document: StateDocument | None
    etag: str | None


class Write(NamedTuple):
    """A document to store if the stored version still has this etag. None: only if no version is stored."""

    document: StateDocument
    guard: str | None


class Deletion(Write):
    """A document to delete if the stored version still has this etag."""


def decode_state(stored: Mapping[str, Any]) -> StateDocument:
    """Decode a stored page or partial.

    Raises
    ------
    ValueError
        The document is of another kind.
    """
    match stored.get("kind"):
        case kind if kind == LEDGER:
            return Page.decode(stored)
        case kind if kind == PARTIAL:
            return Partial.decode(stored)
        case kind:
            raise ValueError(f"view_state document {stored.get('id')!r} is of unknown kind {kind!r}")
