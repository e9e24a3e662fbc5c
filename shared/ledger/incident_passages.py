"""Which passage an incident is about: the one with the highest relevance in the interaction it points at.

Both stand on the ledger of one shard, each on pages of its own source, and either may come first or change
later. Whoever folds the one looks for the other: a person's state says which interactions are pointed at,
the index of the pages where they and their incidents stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from shared.aggregates import person
from shared.aggregates.tally import Tally
from shared.facts import (
    ABUSE_INCIDENTS,
    USER_INTERACTIONS,
    Fact,
    IncidentFact,
    InteractionFact,
    Passage,
    Withdrawn,
)
from shared.facts.incidents import PREFIX, reference
from shared.ledger.changes import Change
from shared.ledger.pages import Entry, Page, fingerprint, referring


class Reattributed(NamedTuple):
    """An incident on the ledger that is about another passage than it was counted under."""

    page: Page
    user_id: str
    document_id: str
    before: Entry
    after: Entry


class Attribution:
    """Finds incidents' passages on the pages of one shard.

    Parameters
    ----------
    pages
        The pages at hand, by id; looked at anew with every call.
    state
        Returns a person's own state.
    """

    def __init__(self, pages: Mapping[str, Page], state: Callable[[str], Tally]) -> None:
        self._pages = pages
        self._state = state

    def wanted(self, changes: Iterable[Change]) -> set[str]:
        """Return the fingerprints of what has to be at hand: interactions pointed at, or their incidents."""
        wanted: set[str] = set()
        for change in changes:
            match change.fact:
                case IncidentFact(interaction=str(target)):
                    wanted.update(fingerprint(USER_INTERACTIONS, change.user_id, i) for i in _ids(target))
                case _ if self._is_flagged(change):
                    wanted.add(referring(ABUSE_INCIDENTS, change.user_id, reference(change.document_id)))
        return wanted

    def attributed(self, change: Change) -> Change:
        """Return the change of an incident with its passage, any other as it is.

        An interaction that the ledger has forgotten, for it expires before its incidents, is about what it
        was about.
        """
        fact = change.fact
        if not isinstance(fact, IncidentFact) or fact.interaction is None:
            return change
        found = self._interaction(change.user_id, fact.interaction)
        if found is not None:
            return replace(change, fact=replace(fact, passage=_passage(found)))
        counted = self._incident(change.user_id, change.document_id)
        if counted is not None and counted.interaction == fact.interaction:
            return replace(change, fact=replace(fact, passage=counted.passage))
        return change

    def moved(self, changes: Iterable[Change]) -> Iterator[Reattributed]:
        """Yield the incidents that are about something else, now that the changes stand on the ledger."""
        targets = {(c.user_id, reference(c.document_id)) for c in changes if self._is_flagged(c)}
        for user_id, target in sorted(targets):
            found = self._interaction(user_id, target)
            if found is None:
                continue
            passage = _passage(found)
            for page in [page for page in self._pages.values() if page.source == ABUSE_INCIDENTS]:
                for document_id in page.documents(user_id):
                    before = page.get(user_id, document_id)
                    assert before is not None  # noqa: S101  it was listed
                    fact = before.fact
                    if (
                        isinstance(fact, IncidentFact)
                        and fact.interaction == target
                        and fact.passage != passage
                    ):
                        after = Entry(before.version, replace(fact, passage=passage))
                        yield Reattributed(page, user_id, document_id, before, after)

    def _is_flagged(self, change: Change) -> bool:
        # A withdrawal does not know its source; if it is not of an interaction, nothing is found.
        if not isinstance(change.fact, InteractionFact | Withdrawn):
            return False
        return person.is_flagged(self._state(change.user_id), reference(change.document_id))

    def _interaction(self, user_id: str, target: str) -> Fact | Withdrawn | None:
        for page in self._pages.values():
            if page.source == USER_INTERACTIONS:
                for document_id in _ids(target):
                    entry = page.get(user_id, document_id)
                    if entry is not None:
                        return entry.fact
        return None

    def _incident(self, user_id: str, document_id: str) -> IncidentFact | None:
        for page in self._pages.values():
            entry = page.get(user_id, document_id) if page.source == ABUSE_INCIDENTS else None
            if entry is not None:
                return entry.fact if isinstance(entry.fact, IncidentFact) else None
        return None


def _ids(target: str) -> tuple[str, str]:
    """Return the ids a document may have that an incident refers to."""
    return f"{PREFIX}{target}", target


def _passage(fact: Fact | Withdrawn) -> Passage | None:
    return fact.main_passage if isinstance(fact, InteractionFact) else None
