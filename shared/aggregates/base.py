"""What an aggregate is: which facts concern it, and what each adds to its state."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from xxhash import xxh3_64_digest

from shared.aggregates.tally import Tally
from shared.containers import DAY, container
from shared.facts import USER_INTERACTIONS, Fact
from shared.units import Day, Month

FOREVER = -1

LAG = 70 * DAY
"""Seconds that state outlives the documents behind it: room for a feed that lags behind, and for
:data:`RENEWAL`."""


def state_ttl(source: str) -> int:
    """Return how many seconds state lives after its last write: longer than the documents of its source."""
    source_ttl = container(source).default_ttl
    return FOREVER if source_ttl is None else source_ttl + LAG


STATE_TTL = state_ttl(USER_INTERACTIONS)
"""Of state that counts interactions, or what expires sooner."""

RENEWAL = 30 * DAY
"""A partial is written again, unchanged, when a document it counts was written again so much later."""


@lru_cache(maxsize=65_536)
def hash_key(key: str) -> str:
    """Return 11 characters that stand for a key of which only the number of different ones is shown.

    Documents make up as many keys as they like, of any length; of these, 80,000 fit into a partial. The odds
    that two of so many are taken for one are 1 to 5 billion.
    """
    return urlsafe_b64encode(xxh3_64_digest(key.encode())).rstrip(b"=").decode()


class PartialKey(NamedTuple):
    """An aggregate and one of its keys."""

    aggregate: str
    key: str


class Contributions:
    """What a change adds to partials, gathered by partial."""

    __slots__ = ("deltas",)

    def __init__(self) -> None:
        self.deltas: dict[PartialKey, Tally] = {}

    def partial(self, aggregate: str, key: str) -> Tally:
        """Return the tally of what is added to one partial."""
        return self.deltas.setdefault(PartialKey(aggregate, key), Tally())

    def merge(self, other: Contributions, sign: int = 1) -> None:
        """Add another set of contributions, or take it back with ``sign=-1``."""
        for target, delta in other.deltas.items():
            self.partial(*target).merge(delta, sign)


class Aggregate(Protocol):
    """State that is counted from facts: one partial per key, in the shard of the facts' person."""

    name: str
    ttl: int
    """Seconds that a partial outlives what it counts, -1 for ever. State that is only derived is not renewed
    by the facts behind it, and what says whether a person has entries may never be missing: both live on."""

    def owner_of(self, key: str) -> str | None:
        """Return whose state a key is: it lies whole in that person's shard.

        None if every shard has a share of it; then the shares are merged when it is shown.
        """

    def first_day(self, key: str) -> Day | None:
        """Return the first day of the period that a key stands for, None if it has no period."""

    def keys(self, fact: Fact) -> Iterable[str]:
        """Return the keys that one fact concerns."""

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Add what one fact means for this aggregate."""


class Changed(NamedTuple):
    """A state before and after what is being folded."""

    before: Tally
    after: Tally


@dataclass(frozen=True, slots=True)
class PersonChange:
    """How one person's own state changes. What it means for fleet-wide aggregates is derived from it.

    Attributes
    ----------
    person
        The state of ``person``.
    months
        The states of ``person_month`` that change.
    """

    user_id: str
    person: Changed
    months: Mapping[Month, Changed]
