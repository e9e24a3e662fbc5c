"""The interface of an aggregate: what facts, and changes of a person's state, add to its counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from shared.aggregates.tally import Tally
from shared.facts import Fact
from shared.units import Day, Month
from shared.units import hash_key as hash_key


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

    def without(self, excluded: Callable[[PartialKey], bool]) -> Contributions:
        """Return the contributions to all partials except the excluded ones."""
        kept = Contributions()
        kept.deltas = {target: delta for target, delta in self.deltas.items() if not excluded(target)}
        return kept

    def merge(self, other: Contributions, sign: int = 1) -> None:
        """Add other contributions, or subtract them with ``sign=-1``."""
        for target, delta in other.deltas.items():
            self.partial(*target).merge(delta, sign)


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
    first_known
        The person's first active day in an earlier generation, None if none is known.
    months
        The states of ``person_month`` that change, by month.
    """

    user_id: str
    person: Changed
    first_known: Day | None
    months: Mapping[Month, Changed]


class Aggregate:
    """State that is counted by key. Each key has one partial in the shard of the facts' person.

    :meth:`contribute` adds the counts of one fact. :meth:`derive` adds the counts that follow from a person's
    own state before and after; they are committed in the same transaction. No state is derived from derived
    state. Both methods are pure. The keys that a fact concerns are those that :meth:`contribute` asks for.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    """The source with whose period a partial ends: of those that it counts, the one that is shown longest."""
    max_bytes: ClassVar[int]
    """Size up to which a partial accepts new documents. What one document touches then fits into one
    transaction: :mod:`shared.ledger.sizes`."""
    bounded: ClassVar[frozenset[str]] = frozenset()
    """Groups of counts whose keys are no names that documents choose, such as minutes."""

    recounted: ClassVar[bool] = True
    """Whether a rebuild counts it again, from the ledger's pages."""

    def owner_of(self, key: str) -> str | None:
        """Return the person who owns a key. The whole state of the key is then in that person's shard.

        None if every shard has a share of the state. Views merge the shares when they read them.
        """
        return None

    def first_day(self, key: str) -> Day | None:
        """Return the first day of the key's period.

        None if the key has no period, as those of ``person``. A rebuild recounts month by month: what it
        counts has a period, and its keys begin with the month.
        """
        return None

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Add the counts of one fact. The default adds nothing, for aggregates that are only derived."""

    def derive(self, change: PersonChange, into: Contributions) -> None:
        """Add the counts that follow from the change of a person's own state. The default adds nothing."""
