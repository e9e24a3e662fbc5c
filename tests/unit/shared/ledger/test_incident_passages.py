"""Incidents are about the passage that their interaction cites first, whichever of the two comes first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.aggregates.document_index import DocumentIndex, document_hash, reference_hash
from shared.facts import (
    ABUSE_INCIDENTS,
    USER_INTERACTIONS,
    Citation,
    ConsentFact,
    Fact,
    IncidentFact,
    InteractionFact,
    Passage,
    SessionFact,
    Uncounted,
)
from shared.ledger.changes import Change
from shared.ledger.document_version import Version
from shared.ledger.incident_passages import IncidentPassages, cited_passage
from shared.ledger.open_pages import OpenPages
from shared.ledger.pages import Entry, Page
from shared.ledger.shards import ShardId
from shared.units import MILLIS_PER_HOUR, EventHour, Micro, Millis
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.ledger.memory_shard import MemoryShard, change

SHARD, HOUR = ShardId("1:0000"), EventHour("2025-08-05T10")
OTHER_HOUR = EventHour("2025-07-01T00")
AT = millis("2025-08-05T10:15:00")
GITA, UDANA = Passage("gita", "2", "47"), Passage("udana", "1", None)
VERSION = Version(9, 9, "9")


def interaction(*cited: Passage, user_id: str = "ana") -> InteractionFact:
    citations = tuple(Citation(*passage, Micro(500_000)) for passage in cited)
    return InteractionFact(user_id=user_id, at=AT, citations=citations)


def incident(points_at: str | None = "1", passage: Passage | None = None) -> IncidentFact:
    return IncidentFact(user_id="ana", at=AT, interaction=points_at, passage=passage, severity="high")


UNCOUNTED = Uncounted("ana", AT)


def passages(
    *,
    interactions: dict[str, Fact | Uncounted] | None = None,
    incidents: dict[str, Fact | Uncounted] | None = None,
    flagged: tuple[str, ...] = (),
) -> IncidentPassages:
    """Return the passages of incidents where these documents of ana are on the ledger.

    Parameters
    ----------
    flagged
        Interactions that incidents on the pages of ``OTHER_HOUR`` refer to, according to ana's index.
    """
    pages = OpenPages(SHARD, ["ana"], 0)
    index = DocumentIndex()
    for source, facts in ((USER_INTERACTIONS, interactions), (ABUSE_INCIDENTS, incidents)):
        page = Page(SHARD, source, HOUR)
        for document_id, fact in (facts or {}).items():
            page.put("ana", document_id, Entry(VERSION, fact))
            index.add(source, document_hash(source, document_id), HOUR)
        pages.add([page])
    for reference in flagged:
        index.add(ABUSE_INCIDENTS, reference_hash(ABUSE_INCIDENTS, reference), OTHER_HOUR)
    return IncidentPassages(pages, lambda user_id: index if user_id == "ana" else DocumentIndex())


class TestCitedPassage:
    """The passage that incidents at a document are about."""

    def test_is_the_most_relevant_citation(self) -> None:
        cited = (Citation(*GITA, Micro(100_000)), Citation(*UDANA, Micro(900_000)))
        assert cited_passage(InteractionFact(user_id="ana", at=AT, citations=cited)) == UDANA

    @pytest.mark.parametrize(
        "fact", [interaction(), UNCOUNTED, incident(passage=GITA), ConsentFact(user_id="ana", at=AT)]
    )
    def test_is_none_where_nothing_is_cited(self, fact: Fact | Uncounted) -> None:
        assert cited_passage(fact) is None


class TestHoursNeeded:
    """The pages that have to be searched."""

    @pytest.mark.parametrize("document_id", ["interaction_1", "1"])
    def test_of_an_incident_the_hour_of_its_interaction_under_either_form_of_its_id(
        self, document_id: str
    ) -> None:
        found = passages(interactions={document_id: interaction(GITA)})
        assert set(found.hours_needed(change(incident("1"), "a"))) == {(USER_INTERACTIONS, HOUR)}

    @pytest.mark.parametrize("points_at", [None, "2"])
    def test_of_an_incident_at_nothing_that_is_indexed_nothing(self, points_at: str | None) -> None:
        found = passages(interactions={"1": interaction(GITA)})
        assert list(found.hours_needed(change(incident(points_at), "a"))) == []

    @pytest.mark.parametrize("fact", [interaction(GITA), UNCOUNTED])
    @pytest.mark.parametrize("document_id", ["interaction_1", "1"])
    def test_of_an_interaction_that_is_pointed_at_the_hours_of_its_incidents(
        self, fact: Fact | Uncounted, document_id: str
    ) -> None:
        needed = passages(flagged=("1",)).hours_needed(change(fact, document_id))
        assert list(needed) == [(ABUSE_INCIDENTS, OTHER_HOUR)]

    @pytest.mark.parametrize(
        ("fact", "document_id"),
        [
            (interaction(GITA), "interaction_2"),
            (interaction(GITA, user_id="ben"), "interaction_1"),
            (SessionFact(user_id="ana", at=AT, session_id="1"), "1"),
            (ConsentFact(user_id="ana", at=AT), "1"),
        ],
    )
    def test_of_any_other_document_nothing(self, fact: Fact, document_id: str) -> None:
        assert list(passages(flagged=("1",)).hours_needed(change(fact, document_id))) == []


class TestWithPassage:
    """The change of an incident with its passage."""

    def passage(self, found: IncidentPassages, points_at: str | None = "1") -> Passage | None:
        fact = found.with_passage(change(incident(points_at), "a")).fact
        assert isinstance(fact, IncidentFact)
        assert fact.severity == "high"
        return fact.passage

    @pytest.mark.parametrize("document_id", ["interaction_1", "1"])
    def test_is_what_the_interaction_cites(self, document_id: str) -> None:
        assert self.passage(passages(interactions={document_id: interaction(GITA)})) == GITA

    def test_of_two_documents_the_one_with_exactly_its_id_is_meant(self) -> None:
        both: dict[str, Any] = {"1": interaction(UDANA), "interaction_1": interaction(GITA)}
        assert self.passage(passages(interactions=both), "1") == UDANA
        assert self.passage(passages(interactions=both), "interaction_1") == GITA

    @pytest.mark.parametrize("fact", [interaction(), UNCOUNTED])
    def test_is_none_where_the_interaction_cites_nothing(self, fact: Fact | Uncounted) -> None:
        found = passages(interactions={"interaction_1": fact}, incidents={"a": incident("1", GITA)})
        assert self.passage(found) is None

    def test_stays_where_the_interaction_is_absent(self) -> None:
        assert self.passage(passages(incidents={"a": incident("1", GITA)})) == GITA

    def test_does_not_stay_where_the_incident_points_at_another_interaction_now(self) -> None:
        assert self.passage(passages(incidents={"a": incident("2", GITA)})) is None

    def test_does_not_come_from_another_incident(self) -> None:
        assert self.passage(passages(incidents={"b": incident("1", GITA)})) is None

    def test_of_an_incident_that_could_not_be_read_before_is_none(self) -> None:
        assert self.passage(passages(incidents={"a": UNCOUNTED})) is None

    @pytest.mark.parametrize("fact", [incident(None), interaction(GITA), UNCOUNTED])
    def test_any_other_change_stays_as_it_is(self, fact: Fact | Uncounted) -> None:
        given = change(fact, "a")
        assert passages(interactions={"interaction_1": interaction(GITA)}).with_passage(given) is given

    def test_the_rest_of_the_change_stays(self) -> None:
        given = Change("ana", "a", VERSION, incident("1"), live=True)
        found = passages(interactions={"1": interaction(GITA)}).with_passage(given)
        assert found == Change("ana", "a", VERSION, incident("1", GITA), live=True)


CHANGED = change(interaction(GITA), "interaction_1")
COUNTED: dict[str, Fact | Uncounted] = {"interaction_1": interaction(GITA)}


class TestMovedBy:
    """The incidents whose passage is another one."""

    def moved(self, found: IncidentPassages, *changes: Change) -> list[tuple[str, Passage | None]]:
        """Return the incidents that move, and where to."""
        return [
            (move.document_id, move.after.fact.passage)
            for move in found.moved_by(changes)
            if isinstance(move.after.fact, IncidentFact)
        ]

    def test_are_those_that_point_at_a_changed_interaction(self) -> None:
        incidents: dict[str, Any] = {
            "b": incident("1", UDANA),
            "a": incident("1"),
            "c": incident("2", UDANA),
            "d": incident(None, UDANA),
        }
        found = passages(interactions=COUNTED, incidents=incidents, flagged=("1",))
        assert self.moved(found, CHANGED) == [("a", GITA), ("b", GITA)]

    def test_keep_their_version_and_everything_else(self) -> None:
        found = passages(interactions=COUNTED, incidents={"a": incident("1", UDANA)}, flagged=("1",))
        (move,) = found.moved_by([CHANGED])
        assert (move.user_id, move.after) == ("ana", Entry(VERSION, incident("1", GITA)))
        assert (move.at.page_id, move.at.entry) == (
            "ledger|abuse_incidents|2025-08-05T10",
            Entry(VERSION, incident("1", UDANA)),
        )

    def test_are_not_those_that_are_about_the_passage_already(self) -> None:
        found = passages(interactions=COUNTED, incidents={"a": incident("1", GITA)}, flagged=("1",))
        assert self.moved(found, CHANGED) == []

    def test_lose_their_passage_when_the_interaction_cannot_be_read(self) -> None:
        found = passages(
            interactions={"interaction_1": UNCOUNTED}, incidents={"a": incident("1", GITA)}, flagged=("1",)
        )
        assert self.moved(found, change(UNCOUNTED, "interaction_1")) == [("a", None)]

    def test_are_none_while_the_interaction_is_not_on_the_ledger(self) -> None:
        found = passages(incidents={"a": incident("1", GITA)}, flagged=("1",))
        assert self.moved(found, change(UNCOUNTED, "interaction_1")) == []

    def test_are_none_where_no_incident_points_at_the_document(self) -> None:
        found = passages(interactions=COUNTED, incidents={"a": incident("1", UDANA)}, flagged=("2",))
        assert self.moved(found, CHANGED) == []

    def test_are_not_those_that_cannot_be_read(self) -> None:
        found = passages(interactions=COUNTED, incidents={"a": UNCOUNTED}, flagged=("1",))
        assert self.moved(found, CHANGED) == []

    def test_are_not_those_that_came_to_point_at_another_interaction(self) -> None:
        pages = OpenPages(SHARD, ["ana"], 0)
        page, cited = Page(SHARD, ABUSE_INCIDENTS, HOUR), Page(SHARD, USER_INTERACTIONS, HOUR)
        page.put("ana", "a", Entry(VERSION, incident("1", UDANA)))
        cited.put("ana", "interaction_1", Entry(VERSION, interaction(GITA)))
        pages.add([page, cited])
        located = pages.find(ABUSE_INCIDENTS, "ana", "a")
        assert located is not None
        pages.replace(located, "ana", "a", Entry(VERSION, incident("2", UDANA)))
        index = DocumentIndex()
        index.add(ABUSE_INCIDENTS, reference_hash(ABUSE_INCIDENTS, "1"), OTHER_HOUR)
        found = IncidentPassages(pages, lambda _: index)
        assert self.moved(found, CHANGED) == []

    def test_are_each_returned_once_for_two_changes_of_the_interaction(self) -> None:
        found = passages(interactions=COUNTED, incidents={"a": incident("1")}, flagged=("1",))
        assert self.moved(found, CHANGED, CHANGED) == [("a", GITA)]


IDS = ("7", "interaction_7", "interaction_interaction_7", "interaction_", "interaction_interaction_")


def meant(reference: str, written: set[str]) -> Passage | None:
    """Return the passage of the interaction that a reference means, of those that were written."""
    prefix = "interaction_"
    other = reference[len(prefix) :] if reference.startswith(prefix) else prefix + reference
    return next((Passage(each, None, None) for each in (reference, other) if each in written), None)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(IDS), st.integers(0, 2)), min_size=2, max_size=10))
def test_an_incident_is_about_the_interaction_that_it_names_whatever_comes_first(
    writes: list[tuple[bool, str, int]],
) -> None:
    shard, pointing, written = MemoryShard(), dict[str, str](), set[str]()
    for number, (is_incident, name, hour) in enumerate(writes, 1):
        at = Millis(AT + hour * MILLIS_PER_HOUR)
        if is_incident:
            pointing[f"incident {name}"] = name
            fact: Fact = IncidentFact(user_id="ana", at=at, interaction=name)
            shard.fold(change(fact, f"incident {name}", number), source=ABUSE_INCIDENTS)
        else:
            written.add(name)
            cited = (Citation(name, None, None, Micro(500_000)),)
            shard.fold(change(InteractionFact(user_id="ana", at=at, citations=cited), name, number))
    found = {
        document_id: entry.fact.passage
        for page in shard.pages().values()
        for _, document_id, entry in page
        if isinstance(entry.fact, IncidentFact)
    }
    assert found == {document_id: meant(name, written) for document_id, name in pointing.items()}
