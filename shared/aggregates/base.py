"""The interface of an aggregate: what facts, and changes of a person's state, add to its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from shared.aggregates.tally import CountSink, Tally
from shared.containers import DAY, container
from shared.facts import USER_INTERACTIONS, Fact
from shared.units import Day, Month
from shared.units import hash_key as hash_key

FOREVER = -1

LAG = 70 * DAY
"""Seconds by which state outlives the documents that it counts. Leaves room for a feed that lags behind, and
for :data:`RENEWAL`."""


def state_ttl(source: str) -> int:
    """Return the TTL of state in seconds after its last write. State outlives the documents of its source."""
    source_ttl = container(source).default_ttl
    return FOREVER if source_ttl is None else source_ttl + LAG


STATE_TTL = state_ttl(USER_INTERACTIONS)
"""TTL of state that counts interactions, or documents that expire sooner."""

RENEWAL = 30 * DAY
"""Seconds. If a document has a version that is this much newer than the newest one recorded in a partial that
counts it, the fold writes the partial again, unchanged. Otherwise the partial could expire first."""


class PartialKey(NamedTuple):
    """An aggregate and one of its keys."""

    aggregate: str
    key: str


class Contributions:
    """The tallies that a change adds to partials, by partial."""

    __slots__ = ("deltas",)

    def __init__(self) -> None:
        self.deltas: dict[PartialKey, Tally] = {}

    def partial(self, aggregate: str, key: str) -> Tally:
        """Return the tally that is added to one partial."""
        target = PartialKey(aggregate, key)
        found = self.deltas.get(target)
        if found is None:
            found = self.deltas[target] = Tally()
        return found

    def changed(self) -> list[PartialKey]:
        """Return the partials whose counts change, in the order in which they were contributed to first."""
        return [target for target, delta in self.deltas.items() if delta]

    def merge(self, other: Contributions, sign: int = 1) -> None:
        """Add other contributions, or subtract them with ``sign=-1``."""
        for target, delta in other.deltas.items():
            self.partial(*target).merge(delta, sign)


class KeyRecorder(Contributions):
    """Records the partials that receive contributions, and discards the contributions."""

    __slots__ = ("keys",)

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[PartialKey, None] = {}
        """In the order in which they were contributed to first."""

    def partial(self, aggregate: str, key: str) -> Tally:
        """Record the partial; return a tally that discards every count."""
        self.keys[PartialKey(aggregate, key)] = None
        return _DISCARDED


class _Discarded(Tally):
    """A tally that ignores everything added to it."""

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
    """A state before and after a fold."""

    before: Tally
    after: Tally


@dataclass(frozen=True, slots=True)
class PersonChange:
    """A change of one person's own state. Fleet-wide aggregates are derived from it.

    Attributes
    ----------
    person
        The state of ``person``, before and after.
    months
        The states of ``person_month`` that change, by month.
    """

    user_id: str
    person: Changed
    months: Mapping[Month, Changed]


class Aggregate:
    """State that is counted by key. Each key has one partial in the shard of the facts' person.

    :meth:`contribute` adds the counts of one fact. :meth:`derive` adds the counts that follow from a person's
    own state before and after; they are committed in the same transaction. No state is derived from derived
    state. Both methods are pure.
    """

    name: ClassVar[str]
    ttl: ClassVar[int]
    """TTL of a partial in seconds, -1 for none. Derived aggregates and ``person`` never expire: nothing
    renews the former, and the latter must not be missing."""

    def owner_of(self, key: str) -> str | None:
        """Return the person who owns a key. The whole state of the key is then in that person's shard.

        None if every shard has a share of the state. Views merge the shares when they read them.
        """
        return None

    def first_day(self, key: str) -> Day | None:
        """Return the first day of the key's period, None if the key has no period."""
        return None

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Add the counts of one fact. The default adds nothing, for aggregates that are only derived."""

    def derive(self, change: PersonChange, into: Contributions) -> None:
        """Add the counts that follow from the change of a person's own state. The default adds nothing."""
