"""What an aggregate is: what facts, and changes of people, add to its state."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

from xxhash import xxh3_64_digest

from shared.aggregates.tally import CountSink, Tally
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
        target = PartialKey(aggregate, key)
        found = self.deltas.get(target)
        if found is None:
            found = self.deltas[target] = Tally()
        return found

    def changed(self) -> set[PartialKey]:
        """Return the partials that something is added to, or taken from."""
        return {target for target, delta in self.deltas.items() if delta}

    def merge(self, other: Contributions, sign: int = 1) -> None:
        """Add another set of contributions, or take it back with ``sign=-1``."""
        for target, delta in other.deltas.items():
            self.partial(*target).merge(delta, sign)


class KeyRecorder(Contributions):
    """Records which partials are contributed to, and discards what is added to them."""

    __slots__ = ("keys",)

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[PartialKey] = set()

    def partial(self, aggregate: str, key: str) -> Tally:
        """Record a partial."""
        self.keys.add(PartialKey(aggregate, key))
        return _DISCARDED


class _Discarded(Tally):
    """A tally that nothing can be added to."""

    __slots__ = ()

    def count(self, name: str, key: str, amount: int = 1) -> None: ...
    def add(self, name: str, amount: int) -> None: ...
    def observe(self, name: str, value: float, times: int = 1) -> None: ...
    def sample(self, name: str, value: int | None) -> None: ...
    def sample_by(self, name: str, key: str, value: int | None) -> None: ...

    def part_writer(self, part: str) -> CountSink:
        return self


_DISCARDED = _Discarded()


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


class Aggregate:
    """State that is counted by key: one partial per key, in the shard of the facts' person.

    A fact contributes what it adds. What follows from a person's own state is derived, from the state before
    and after, in the same transaction; nothing is derived from derived state. Both are pure.
    """

    name: ClassVar[str]
    ttl: ClassVar[int]
    """TTL of a partial in seconds, -1 for none. Derived aggregates and ``person`` never expire: nothing
    renews the former, and the latter must not be missing."""

    def owner_of(self, key: str) -> str | None:
        """Return the person who owns a key: the state lies whole in that person's shard.

        None if every shard has a share of it. The shares are merged when a view reads it.
        """
        return None

    def first_day(self, key: str) -> Day | None:
        """Return the first day of the period that a key stands for, None if it has no period."""
        return None

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Add what one fact counts for. Adds nothing unless overridden: the aggregate is only derived."""

    def derive(self, change: PersonChange, into: Contributions) -> None:
        """Add what the change of a person's own state counts for. Adds nothing unless overridden."""
