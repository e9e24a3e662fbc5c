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
from shared.facts.incidents import INTERACTION_ID_PREFIX, interaction_reference
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
                for document_id in _possible_ids(target):
                    hashed = document_hash(USER_INTERACTIONS, document_id)
                    for hour in self._index_of(change.user_id).hours_of(hashed):
                        yield USER_INTERACTIONS, hour
            case InteractionFact() | Uncounted():
                # An uncounted entry does not record its source. If it is no interaction, nothing is found.
                for hour in self._hours_of_incidents(change):
                    yield ABUSE_INCIDENTS, hour

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
        targets = {
            (change.user_id, interaction_reference(change.document_id))
            for change in changes
            if isinstance(change.fact, InteractionFact | Uncounted) and self._hours_of_incidents(change)
        }
        for user_id, target in sorted(targets):
            interaction = self._interaction(user_id, target)
            if interaction is None:
                continue
            passage = cited_passage(interaction)
            for document_id in self._pages.referring_to(ABUSE_INCIDENTS, user_id, target):
                found = self._pages.find(ABUSE_INCIDENTS, user_id, document_id)
                fact = found.entry.fact if found is not None else None
                if (
                    found is not None
                    and isinstance(fact, IncidentFact)
                    and fact.interaction == target
                    and fact.passage != passage
                ):
                    after = Entry(found.entry.version, replace(fact, passage=passage))
                    yield MovedIncident(user_id, document_id, found, after)

    def _hours_of_incidents(self, change: Change) -> Collection[EventHour]:
        if not self._index_of(change.user_id).has_source(ABUSE_INCIDENTS):
            return ()
        hashed = reference_hash(ABUSE_INCIDENTS, interaction_reference(change.document_id))
        return set(self._index_of(change.user_id).hours_of(hashed))

    def _interaction(self, user_id: str, target: str) -> Fact | Uncounted | None:
        for document_id in _possible_ids(target):
            found = self._pages.find(USER_INTERACTIONS, user_id, document_id)
            if found is not None:
                return found.entry.fact
        return None


def _possible_ids(target: str) -> tuple[str, str]:
    """Return the possible ids of the document that an incident refers to."""
    return f"{INTERACTION_ID_PREFIX}{target}", target
