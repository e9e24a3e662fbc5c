"""The pages that one fold works on: where an entry is, where a new one goes, and which pages changed."""

from __future__ import annotations

import copy

import pytest

from shared.aggregates.document_index import document_hash, reference_hash
from shared.facts import (
    ABUSE_INCIDENTS,
    USER_INTERACTIONS,
    USER_SESSIONS,
    Citation,
    IncidentFact,
    InteractionFact,
    Uncounted,
)
from shared.ledger import pages
from shared.ledger.document_version import Version
from shared.ledger.open_pages import Located, OpenPages
from shared.ledger.pages import Entry, Page
from shared.ledger.shards import ShardId
from shared.units import EventHour
from tests.unit.shared.aggregates.fact_strategies import millis

SHARD = ShardId("1:0000")
FIRST_REVISION = 1_000
"""The revision before the first one of a new page. That of a stored page is 4."""
TEN, ELEVEN = EventHour("2025-08-05T10"), EventHour("2025-08-05T11")
PAGE_OF_TEN, PAGE_OF_ELEVEN = f"ledger|user_interactions|{TEN}", f"ledger|user_interactions|{ELEVEN}"


def entry(hour: EventHour = TEN, number: int = 1, *, citations: int = 0) -> Entry:
    cited = (Citation("gita", "2", "47", None),) * citations
    fact = InteractionFact(user_id="ana", at=millis(f"{hour}:15:00"), citations=cited)
    return Entry(Version(number, number, str(number)), fact)


def incident(interaction: str | None, number: int = 1) -> Entry:
    fact = IncidentFact(user_id="ana", at=millis(f"{TEN}:15:00"), interaction=interaction)
    return Entry(Version(number, number, str(number)), fact)


def page(hour: EventHour = TEN, part: int = 0, parts: int = 1, **entries: Entry) -> Page:
    made = Page(SHARD, USER_INTERACTIONS, hour, part, parts, revision=4)
    for document_id, one in entries.items():
        made.put("ana", document_id, one)
    return made


def opened(*loaded: Page, users: tuple[str, ...] = ("ana",)) -> OpenPages:
    found = OpenPages(SHARD, users, FIRST_REVISION)
    found.add(loaded)
    return found


def contents(found: OpenPages) -> dict[str, list[str]]:
    """Return the ids of the documents on each page that changed."""
    return {page.id: [document_id for _, document_id, _ in page] for page in found.edited()}


class TestFind:
    """Where an entry is."""

    def test_an_entry_is_found_with_its_page(self) -> None:
        found = opened(page(i1=entry()), page(ELEVEN, i2=entry(ELEVEN)))
        assert found.find(USER_INTERACTIONS, "ana", "i2") == Located(PAGE_OF_ELEVEN, ELEVEN, entry(ELEVEN))

    @pytest.mark.parametrize(
        ("source", "user_id", "document_id"),
        [
            (USER_SESSIONS, "ana", "i1"),
            (USER_INTERACTIONS, "ben", "i1"),
            (USER_INTERACTIONS, "ana", "i2"),
        ],
    )
    def test_an_entry_of_another_document_is_not(self, source: str, user_id: str, document_id: str) -> None:
        assert opened(page(i1=entry())).find(source, user_id, document_id, TEN) is None

    def test_only_the_entries_of_the_people_of_the_fold_are_indexed(self) -> None:
        assert opened(page(i1=entry()), users=("ben",)).find(USER_INTERACTIONS, "ana", "i1") is None

    def test_the_hour_is_a_preference_and_no_condition(self) -> None:
        located = opened(page(i1=entry())).find(USER_INTERACTIONS, "ana", "i1", ELEVEN)
        assert located == Located(PAGE_OF_TEN, TEN, entry())

    @pytest.mark.parametrize("hour", [TEN, ELEVEN])
    def test_of_two_pages_that_hold_an_entry_the_page_of_the_hour_is_preferred(self, hour: EventHour) -> None:
        found = opened(page(i1=entry(number=1)), page(ELEVEN, i1=entry(ELEVEN, number=2)))
        located = found.find(USER_INTERACTIONS, "ana", "i1", hour)
        assert located is not None
        assert located.hour == hour

    def test_the_hour_of_an_entry_on_a_further_part_is_the_hour_of_its_page(self) -> None:
        located = opened(page(part=2, i1=entry())).find(USER_INTERACTIONS, "ana", "i1", TEN)
        assert located == Located(f"{PAGE_OF_TEN}|2", TEN, entry())

    def test_the_hour_of_an_entry_that_cannot_be_read_is_the_hour_of_its_page(self) -> None:
        uncounted = Entry(Version(2, 2, "2"), Uncounted("ana", millis("2025-08-20T23:00:00")))
        located = opened(page(i1=uncounted)).find(USER_INTERACTIONS, "ana", "i1")
        assert located == Located(PAGE_OF_TEN, TEN, uncounted)

    def test_an_entry_that_was_removed_is_not_found(self) -> None:
        found = opened(page(i1=entry()))
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        found.remove(located, "ana", "i1")
        assert found.find(USER_INTERACTIONS, "ana", "i1") is None

    def test_an_entry_that_moved_is_found_on_its_new_page(self) -> None:
        found = opened(page(i1=entry()))
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        found.remove(located, "ana", "i1")
        found.append(USER_INTERACTIONS, "ana", "i1", ELEVEN, entry(ELEVEN))
        assert found.find(USER_INTERACTIONS, "ana", "i1") == Located(PAGE_OF_ELEVEN, ELEVEN, entry(ELEVEN))


class TestReferences:
    """Which documents refer to a document of another source."""

    def incidents(self, **entries: Entry) -> Page:
        made = Page(SHARD, ABUSE_INCIDENTS, TEN)
        for document_id, one in entries.items():
            made.put("ana", document_id, one)
        return made

    def test_are_returned_in_order(self) -> None:
        found = opened(self.incidents(c=incident("1"), a=incident("1"), b=incident("2"), d=incident(None)))
        assert found.referring_to(ABUSE_INCIDENTS, "ana", "1") == ["a", "c"]
        assert found.referring_to(ABUSE_INCIDENTS, "ana", "2") == ["b"]
        assert found.referring_to(ABUSE_INCIDENTS, "ben", "1") == []
        assert found.referring_to(USER_INTERACTIONS, "ana", "1") == []

    def test_of_new_entries_are_known(self) -> None:
        found = opened()
        found.append(ABUSE_INCIDENTS, "ana", "a", TEN, incident("1"))
        assert found.referring_to(ABUSE_INCIDENTS, "ana", "1") == ["a"]

    def test_of_replaced_entries_are_known(self) -> None:
        found = opened(self.incidents(a=incident("1")))
        located = found.find(ABUSE_INCIDENTS, "ana", "a")
        assert located is not None
        found.replace(located, "ana", "a", incident("2", 2))
        assert found.referring_to(ABUSE_INCIDENTS, "ana", "2") == ["a"]


class TestAppend:
    """Where a new entry goes."""

    def test_the_first_entry_of_an_hour_opens_its_page(self) -> None:
        found = opened()
        found.append(USER_INTERACTIONS, "ana", "i1", TEN, entry())
        (edited,) = found.edited()
        assert (edited.id, edited.shard, edited.part, edited.parts, edited.revision) == (
            PAGE_OF_TEN, SHARD, 0, 1, FIRST_REVISION + 1
        )  # fmt: skip
        assert found.find(USER_INTERACTIONS, "ana", "i1", TEN) == Located(PAGE_OF_TEN, TEN, entry())

    def test_the_page_that_is_there_is_used_while_it_has_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded = page(i1=entry())
        monkeypatch.setattr(pages, "PAGE_BYTES", loaded.size + 1)
        found = opened(loaded)
        found.append(USER_INTERACTIONS, "ana", "i2", TEN, entry())
        assert contents(found) == {PAGE_OF_TEN: ["i1", "i2"]}

    def test_a_full_page_is_followed_by_a_part_and_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded = page(i1=entry())
        monkeypatch.setattr(pages, "PAGE_BYTES", loaded.size)
        found = opened(loaded)
        for number in (2, 3):
            found.append(USER_INTERACTIONS, "ana", f"i{number}", TEN, entry())
        assert contents(found) == {
            PAGE_OF_TEN: ["i1"],
            f"{PAGE_OF_TEN}|1": ["i2"],
            f"{PAGE_OF_TEN}|2": ["i3"],
        }
        assert [(page.part, page.parts, page.revision) for page in found.edited()] == [
            (0, 3, 5), (1, 1, FIRST_REVISION + 1), (2, 1, FIRST_REVISION + 1)
        ]  # fmt: skip
        assert found.last_part(USER_INTERACTIONS, TEN) == 2

    def test_a_full_last_part_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        last = page(part=1, i2=entry())
        monkeypatch.setattr(pages, "PAGE_BYTES", last.size)
        found = opened(page(parts=2, i1=entry()), last)
        found.append(USER_INTERACTIONS, "ana", "i3", TEN, entry())
        assert contents(found) == {PAGE_OF_TEN: ["i1"], f"{PAGE_OF_TEN}|2": ["i3"]}

    def test_an_entry_goes_on_the_page_of_the_hour_that_is_given(self) -> None:
        found = opened()
        uncounted = Entry(Version(2, 2, "2"), Uncounted("ana", millis("2025-08-20T23:00:00")))
        found.append(USER_INTERACTIONS, "ana", "i1", ELEVEN, uncounted)
        assert contents(found) == {PAGE_OF_ELEVEN: ["i1"]}

    def test_the_last_part_is_used_and_the_first_page_left_alone(self) -> None:
        found = opened(page(parts=2, i1=entry()), page(part=1, i2=entry()))
        assert found.last_part(USER_INTERACTIONS, TEN) == 1
        found.append(USER_INTERACTIONS, "ana", "i3", TEN, entry())
        assert contents(found) == {f"{PAGE_OF_TEN}|1": ["i2", "i3"]}

    @pytest.mark.parametrize(("source", "hour"), [(USER_SESSIONS, TEN), (USER_INTERACTIONS, ELEVEN)])
    def test_the_last_part_of_an_hour_without_a_page_is_the_first(self, source: str, hour: EventHour) -> None:
        assert opened(page(parts=3)).last_part(source, hour) == 0


class TestIndexChanges:
    """What the edits change in the indexes of people."""

    @staticmethod
    def changes(found: OpenPages) -> list[tuple[str, str, str, bool]]:
        assert {each.user_id for each in found.index_changes} <= {"ana"}
        return [(each.source, each.hashed, each.hour, each.is_added) for each in found.index_changes]

    def test_an_entry_that_is_added_or_removed_is_indexed(self) -> None:
        found = opened(page(i1=entry()))
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        found.remove(located, "ana", "i1")
        found.append(USER_INTERACTIONS, "ana", "i1", ELEVEN, entry(ELEVEN))
        hashed = document_hash(USER_INTERACTIONS, "i1")
        assert self.changes(found) == [
            (USER_INTERACTIONS, hashed, TEN, False),
            (USER_INTERACTIONS, hashed, ELEVEN, True),
        ]

    def test_an_entry_that_is_replaced_is_not(self) -> None:
        found = opened(page(i1=entry()))
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        found.replace(located, "ana", "i1", entry(number=2))
        assert self.changes(found) == []

    def test_the_document_that_an_entry_refers_to_is_indexed(self) -> None:
        found = opened()
        found.append(ABUSE_INCIDENTS, "ana", "a", TEN, incident("1"))
        for points_at in ("2", None):
            located = found.find(ABUSE_INCIDENTS, "ana", "a")
            assert located is not None
            found.replace(located, "ana", "a", incident(points_at, 2))
        one, two = (reference_hash(ABUSE_INCIDENTS, reference) for reference in "12")
        assert self.changes(found) == [
            (ABUSE_INCIDENTS, document_hash(ABUSE_INCIDENTS, "a"), TEN, True),
            (ABUSE_INCIDENTS, one, TEN, True),
            (ABUSE_INCIDENTS, one, TEN, False),
            (ABUSE_INCIDENTS, two, TEN, True),
            (ABUSE_INCIDENTS, two, TEN, False),
        ]

    def test_the_reference_of_an_entry_that_is_removed_is_removed(self) -> None:
        found = opened()
        found.append(ABUSE_INCIDENTS, "ana", "a", TEN, incident("1"))
        located = found.find(ABUSE_INCIDENTS, "ana", "a")
        assert located is not None
        found.remove(located, "ana", "a")
        changed = self.changes(found)
        assert [each[:3] for each in changed[:2]] == [each[:3] for each in changed[2:]]
        assert [each[3] for each in changed] == [True, True, False, False]


class TestEdits:
    """What changes, and what may not."""

    def test_a_loaded_page_is_never_changed(self) -> None:
        loaded = page(i1=entry(), i2=entry())
        before = copy.deepcopy(loaded)
        found = opened(loaded)
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        found.replace(located, "ana", "i1", entry(number=2))
        found.remove(located, "ana", "i2")
        found.append(USER_INTERACTIONS, "ana", "i3", TEN, entry())
        assert loaded == before

    def test_a_page_that_changed_twice_is_one_revision_on(self) -> None:
        found = opened(page(i1=entry(), i2=entry()))
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        found.replace(located, "ana", "i1", entry(number=2))
        found.replace(located, "ana", "i1", entry(number=3))
        found.remove(located, "ana", "i2")
        (edited,) = found.edited()
        assert edited.revision == 5
        assert list(edited) == [("ana", "i1", entry(number=3))]

    def test_changed_pages_are_returned_in_order_and_no_others(self) -> None:
        found = opened(page(ELEVEN, i1=entry(ELEVEN)), page(EventHour("2025-08-05T12")))
        for hour in (ELEVEN, TEN):
            found.append(USER_INTERACTIONS, "ana", "new", hour, entry(hour))
        assert [page.id for page in found.edited()] == [PAGE_OF_TEN, PAGE_OF_ELEVEN]

    @pytest.mark.parametrize(("spare", "fits"), [(0, True), (-1, False)])
    def test_an_entry_fits_while_its_page_stays_below_the_limit(
        self, monkeypatch: pytest.MonkeyPatch, spare: int, fits: bool
    ) -> None:
        loaded = page(i1=entry())
        found = opened(loaded)
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        grown = entry(citations=20)
        added = len(',"c":[') + 20 * len('["gita","2","47",null],') - 1 + len("]")
        monkeypatch.setattr(pages, "MAX_PAGE_BYTES", loaded.size + added + spare)
        assert found.has_room_for(grown, located) is fits

    def test_an_entry_that_does_not_grow_fits_on_any_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = opened(page(i1=entry()))
        located = found.find(USER_INTERACTIONS, "ana", "i1")
        assert located is not None
        monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 0)
        uncounted = Uncounted("ana", millis("2025-08-20T23:00:00"))
        assert found.has_room_for(entry(number=2), located)
        assert not found.has_room_for(entry(citations=1), located)
        assert not found.has_room_for(Entry(Version(2, 2, "2"), uncounted), located)  # 4 bytes more
