"""The passage of an incident: the most relevant citation of the interaction that it refers to. Pure.

The ledger of one shard has both documents, on pages of their own sources. Either may arrive first or change
later. The fold of one therefore looks for the other. The document index of the person's record knows the
pages of the interactions, and of the incidents that refer to each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from shared.aggregates.document_index import DocumentIndex, document_hash, reference_hash
from shared.facts import (
    ABUSE_INCIDENTS,
    USER_INTERACTIONS,
    Fact,
    IncidentFact,
    InteractionFact,
    Passage,
    Uncounted,
)
from shared.facts.incidents import INTERACTION_ID_PREFIX, interaction_key, possible_ids
from shared.ledger.changes import Change
from shared.ledger.open_pages import Located, OpenPages
from shared.ledger.pages import Entry
from shared.units import EventHour


class MovedIncident(NamedTuple):
    """An incident on the ledger whose interaction has a new main passage."""

    user_id: str
    document_id: str
    at: Located
    after: Entry


def cited_passage(fact: Fact | Uncounted) -> Passage | None:
    """Return the passage of incidents that refer to a document, None if the document cites none."""
    return fact.main_passage if isinstance(fact, InteractionFact) else None


class IncidentPassages:
    """Finds the passages of incidents, on the pages of one fold.

    Parameters
    ----------
    index_of
        Returns the document index of a person.
    """

    def __init__(self, pages: OpenPages, index_of: Callable[[str], DocumentIndex]) -> None:
        self._pages = pages
        self._index_of = index_of

    def hours_needed(self, change: Change) -> Iterator[tuple[str, EventHour]]:
        """Yield the sources and hours with the interaction that an incident refers to, or the incidents."""
        match change.fact:
            case IncidentFact(interaction=str(target)):
                yield from self._hours_of_interactions(change.user_id, possible_ids(target))
            case InteractionFact() | Uncounted():
                # An uncounted entry does not record its source. If it is no interaction, nothing is found.
                incidents = self._hours_of_incidents(change)
                for hour in incidents:
                    yield ABUSE_INCIDENTS, hour
                if incidents:
                    yield from self._hours_of_interactions(change.user_id, _rivals(change.document_id))

    def with_passage(self, change: Change) -> Change:
        """Return the change of an incident with its passage. Other changes are returned unchanged.

        An interaction expires before its incidents. If the ledger no longer has it, the incident has the
        passage under which it was counted before.
        """
        fact = change.fact
        if not isinstance(fact, IncidentFact) or fact.interaction is None:
            return change
        interaction = self._interaction(change.user_id, fact.interaction)
        if interaction is not None:
            return replace(change, fact=replace(fact, passage=cited_passage(interaction)))
        counted = self._pages.find(ABUSE_INCIDENTS, change.user_id, change.document_id)
        if (
            counted is not None
            and isinstance(counted.entry.fact, IncidentFact)
            and counted.entry.fact.interaction == fact.interaction
        ):
            return replace(change, fact=replace(fact, passage=counted.entry.fact.passage))
        return change

    def moved_by(self, changes: Iterable[Change]) -> Iterator[MovedIncident]:
        """Yield the incidents whose passage differs after the changes are on the pages."""
        changed = sorted(
            {
                (change.user_id, change.document_id)
                for change in changes
                if isinstance(change.fact, InteractionFact | Uncounted) and self._hours_of_incidents(change)
            }
        )
        moved: set[tuple[str, str]] = set()
        for user_id, interaction_id in changed:
            key = interaction_key(interaction_id)
            for document_id in self._pages.referring_to(ABUSE_INCIDENTS, user_id, key):
                found = self._pages.find(ABUSE_INCIDENTS, user_id, document_id)
                after = found and self._after(user_id, interaction_id, found.entry)
                if found and after and (user_id, document_id) not in moved:
                    moved.add((user_id, document_id))
                    yield MovedIncident(user_id, document_id, found, after)

    def _after(self, user_id: str, interaction_id: str, entry: Entry) -> Entry | None:
        """Return the entry of an incident with its passage after a change; None if it stays as it is."""
        fact = entry.fact
        if not isinstance(fact, IncidentFact) or fact.interaction is None:
            return None
        interaction = self._interaction(user_id, fact.interaction)
        if interaction_id not in possible_ids(fact.interaction) or interaction is None:
            return None
        passage = cited_passage(interaction)
        return None if fact.passage == passage else Entry(entry.version, replace(fact, passage=passage))

    def _hours_of_incidents(self, change: Change) -> Collection[EventHour]:
        if not self._index_of(change.user_id).has_source(ABUSE_INCIDENTS):
            return ()
        hashed = reference_hash(ABUSE_INCIDENTS, interaction_key(change.document_id))
        return set(self._index_of(change.user_id).hours_of(hashed))

    def _hours_of_interactions(
        self, user_id: str, document_ids: Iterable[str]
    ) -> Iterator[tuple[str, EventHour]]:
        for document_id in document_ids:
            hashed = document_hash(USER_INTERACTIONS, document_id)
            for hour in self._index_of(user_id).hours_of(hashed):
                yield USER_INTERACTIONS, hour

    def _interaction(self, user_id: str, target: str) -> Fact | Uncounted | None:
        """Return the interaction that a reference means: the exact id first."""
        for document_id in possible_ids(target):
            found = self._pages.find(USER_INTERACTIONS, user_id, document_id)
            if found is not None:
                return found.entry.fact
        return None


def _rivals(interaction_id: str) -> set[str]:
    """Return the other interactions that may be meant by references that may mean this one."""
    references = {interaction_id, f"{INTERACTION_ID_PREFIX}{interaction_id}", possible_ids(interaction_id)[1]}
    meant = {each for reference in references for each in possible_ids(reference)}
    return meant - {interaction_id}
