"""The source containers: how a document of each becomes a change to fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.documents.common import identifier
from shared.documents.interactions import parse_interaction
from shared.facts import USER_INTERACTIONS, Withdrawn, interaction_fact
from shared.fold import Change
from shared.pricing import PriceTable
from shared.units import Millis
from shared.version import Version


@dataclass(frozen=True, slots=True)
class Source:
    """A container whose change feed is folded."""

    name: str
    handler: str
    """Names the processing step in poison rows and logs."""
    to_change: Callable[[object, PriceTable, bool], Change]
    """Reads a raw document; the flag says that it was read live rather than delivered."""


def _interaction(raw: object, prices: PriceTable, live: bool) -> Change:
    document = parse_interaction(raw)
    assert isinstance(raw, Mapping)  # noqa: S101  parse_interaction refuses everything else
    return Change(
        document.user_id, document.id, Version.of(raw), interaction_fact(document, prices), live=live
    )


def withdrawal(raw: object, live: bool) -> Change | None:
    """Return the change that takes back what was counted of a document whose new version cannot be read.

    None if it does not say whose it is: then no version of it was ever counted, for the user is the partition
    key.
    """
    if not isinstance(raw, Mapping):
        return None
    document_id, user_id = identifier(raw.get("id")), identifier(raw.get("user_id"))
    if document_id is None or user_id is None:
        return None
    version = Version.of(raw)
    return Change(user_id, document_id, version, Withdrawn(user_id, Millis(version.ts * 1000)), live=live)


SOURCES: dict[str, Source] = {
    USER_INTERACTIONS: Source(USER_INTERACTIONS, "fold_interactions", _interaction),
}
"""Every source, by container name."""
