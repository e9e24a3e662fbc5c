"""The source containers: how a document of each becomes a change to fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.documents.interactions import parse_interaction
from shared.facts import USER_INTERACTIONS, interaction_fact
from shared.fold import Change
from shared.pricing import PriceTable
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


SOURCES: dict[str, Source] = {
    USER_INTERACTIONS: Source(USER_INTERACTIONS, "fold_interactions", _interaction),
}
"""Every source, by container name."""
