"""What entries of the ledger count for: the one arithmetic of folds and rebuilds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.aggregates import derive, person, person_month
from shared.aggregates.base import Changed, Contributions, PartialKey, PersonChange
from shared.aggregates.tally import Tally
from shared.units import Day, Month

StateOf = Callable[[PartialKey], Tally]
FirstKnownOf = Callable[[str], Day | None]


class CountedEntries:
    """The counts that entries add to partials: those of one fold, or of the whole ledger of a shard."""

    def __init__(self) -> None:
        self.contributions = Contributions()
        self._changed: dict[PartialKey, Changed] = {}
        self._moved: set[PartialKey] = set()
        """Partials that one entry, or one person, changes; others may change them back."""

    def unchanged_in_sum(self) -> set[PartialKey]:
        """Return the partials in which several changes cancel out, and the owners of months among them.

        They hold the same counts, of other entries. A rebuild that read some pages before and some after this
        fold would find other counts, and is stopped only if these partials are written. A person's record has
        the summary of each of their months.
        """
        unchanged = self._moved.difference(self.contributions.changed())
        return unchanged | {
            PartialKey(person.NAME, person_month.split_key(target.key)[1])
            for target in unchanged
            if target.aggregate == person_month.NAME
        }

    def add(self, contributed: Contributions) -> None:
        """Count an entry by what its fact contributes."""
        self.contributions.merge(contributed)

    def replace(self, before: Contributions, contributed: Contributions) -> None:
        """Count an entry instead of what an older fact of its document contributed."""
        change = Contributions()
        change.merge(contributed)
        change.merge(before, -1)
        self._merge(change)

    def change_of(self, target: PartialKey, state_of: StateOf) -> Changed:
        """Return the state of a partial before and after the entries are counted. Call it when all are.

        Parameters
        ----------
        state_of
            Returns the state of a partial before.
        """
        before = state_of(target)
        delta = self.contributions.deltas.get(target)
        if not delta:
            return Changed(before, before)
        known = self._changed.get(target)
        if known is None:
            after = before.copy()
            after.merge(delta)
            known = self._changed[target] = Changed(before, after)
        return known

    def people_changed(self, state_of: StateOf, first_known_of: FirstKnownOf) -> list[PersonChange]:
        """Return the people whose own state changes, with those of their months that change."""
        months: dict[str, dict[Month, Changed]] = {}
        for target in self.contributions.changed():
            if target.aggregate == person.NAME:
                months.setdefault(target.key, {})
            elif target.aggregate == person_month.NAME:
                month, user_id = person_month.split_key(target.key)
                months.setdefault(user_id, {})[month] = self.change_of(target, state_of)
        return [
            PersonChange(
                user_id,
                self.change_of(PartialKey(person.NAME, user_id), state_of),
                first_known_of(user_id),
                changed,
            )
            for user_id, changed in months.items()
        ]

    def derive(self, people: Iterable[PersonChange]) -> None:
        """Add what the changes of people's own state mean."""
        for change in people:
            derived = Contributions()
            derive(change, derived)
            self._merge(derived)

    def _merge(self, change: Contributions) -> None:
        self._moved.update(change.changed())
        self.contributions.merge(change)
