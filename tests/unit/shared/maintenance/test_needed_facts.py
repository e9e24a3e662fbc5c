"""A rebuild knows which pages have facts that lack what a view needs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shared import facts
from shared.facts import USER_INTERACTIONS, USER_SESSIONS, InteractionFact
from shared.ledger.document_version import Version
from shared.ledger.pages import Entry, Page
from shared.ledger.shards import ShardId
from shared.maintenance.needed_facts import day_ranges, is_outdated, needed_facts
from shared.units import Day, EventHour, Millis
from shared.views.daily_metrics import DailyMetrics
from tests.unit.shared.world import World, interaction

HOUR = EventHour("2025-08-05T10")


def view(**needed: int) -> Any:
    return SimpleNamespace(facts=needed)


CURRENT = facts.FACT_SCHEMA[USER_INTERACTIONS]
NEXT = CURRENT + 1


def page() -> Page:
    return Page(ShardId("1:0000"), USER_INTERACTIONS, HOUR)


def count(onto: Page, *documents: str) -> Page:
    """Put a fact of the current schema on a page, for each document."""
    for number, document in enumerate(documents):
        fact = InteractionFact(user_id="ann", at=Millis(number))
        onto.put("ann", document, Entry(Version(number, None, str(number)), fact))
    return onto


def test_what_several_views_need_is_the_highest_of_each_source() -> None:
    needed = needed_facts([view(user_interactions=3), view(), view(user_interactions=2, user_sessions=2)])
    assert needed == {USER_INTERACTIONS: 3, USER_SESSIONS: 2}


def test_a_page_of_an_earlier_schema_is_outdated_for_its_source_alone() -> None:
    old = count(page(), "a")
    assert is_outdated(old, {USER_INTERACTIONS: NEXT})
    assert not is_outdated(old, {USER_INTERACTIONS: CURRENT})
    assert not is_outdated(old, {USER_SESSIONS: 2})
    assert not is_outdated(old, {})


def test_a_page_has_the_lowest_schema_of_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed, moved = count(page(), "a"), count(page(), "a")
    monkeypatch.setitem(facts.FACT_SCHEMA, USER_INTERACTIONS, NEXT)
    count(mixed, "b")
    moved.remove("ann", "a")
    assert moved.schema is None
    assert not is_outdated(moved, {USER_INTERACTIONS: NEXT})
    count(moved, "c")
    assert (mixed.schema, moved.schema) == (CURRENT, NEXT)
    for each in (mixed, moved):
        assert Page.decode(each.encode()).schema == each.copy().schema == each.schema
    monkeypatch.setitem(facts.FACT_SCHEMA, USER_INTERACTIONS, CURRENT)  # an instance of the earlier release
    assert count(moved, "d").schema == CURRENT


def test_a_page_that_does_not_say_its_schema_has_the_first() -> None:
    stored = count(page(), "a").encode()
    del stored["schema"]
    assert Page.decode(stored).schema == 1


def test_days_are_told_as_ranges() -> None:
    days = [Day(f"2025-{day}") for day in ("08-31", "09-01", "08-30", "09-05", "10-01", "10-02")]
    assert day_ranges(days) == "2025-08-30 to 2025-09-01, 2025-09-05, 2025-10-01 to 2025-10-02"
    assert day_ranges([]) == ""


async def test_a_rebuild_reports_the_days_whose_facts_lack_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.ingest(interaction(1, "2025-09-10T10:00:00Z"), interaction(2, "2025-09-11T10:00:00Z"))
    rebuilder = await world.rebuilder()
    assert (await rebuilder.rebuild(["daily_metrics"])).outdated == []
    monkeypatch.setitem(facts.FACT_SCHEMA, USER_INTERACTIONS, NEXT)
    monkeypatch.setattr(DailyMetrics, "facts", {USER_INTERACTIONS: NEXT})
    await world.ingest(interaction(3, "2025-09-12T10:00:00Z"), interaction(4, "2025-09-11T10:05:00Z"))
    report = await rebuilder.rebuild(["daily_metrics"])
    assert sorted(report.outdated) == ["2025-09-10", "2025-09-11"]
    assert report.published > 0
    assert (await rebuilder.rebuild(["user_analytics"])).outdated == []
