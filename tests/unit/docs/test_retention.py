"""The page about retention has a row for every container, with the lifetime of the catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.containers import CATALOGUE, DAY, NO_EXPIRY_UNLESS_ITEM_SAYS_SO, Container
from shared.ledger.people_register import REFUSAL_TTL
from shared.ledger.retention import Retention
from shared.people.exports import LIFETIME
from shared.people.requests import AUDIT_TTL
from shared.poison.rows import DECIDED_TTL
from shared.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/retention.md").read_text(encoding="utf-8")
_, CONTAINERS, STORES, LONGER = PAGE.split("\n## ")

SPECIFIED = {
    "user_sessions": 7_776_000, "user_interactions": 31_536_000, "user_analytics": 7_776_000,
    "content_analytics": 7_776_000, "daily_metrics": 31_536_000, "abuse_incidents": 94_608_000,
    "engagement_summary": 86_400, "content_popularity": 604_800, "system_health": 86_400,
}  # fmt: skip
"""``TTLConfiguration.TTL_SETTINGS`` of the specification, in seconds."""

WITHOUT_END = {"users", "personalities", "personality_vectors"}
"""Containers of which it says that they have none."""


def rows(section: str) -> list[list[str]]:
    return [line[2:-1].rstrip(" ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]


ENDS = {name.strip("`"): ends for name, _, ends, *_ in rows(CONTAINERS)}


def days(seconds: int) -> str:
    number = seconds // DAY
    return f"{number:,} day{'s' * (number > 1)}"


def test_every_container_has_one_row() -> None:
    assert [name.strip("`") for name, *_ in rows(CONTAINERS)] == [each.name for each in CATALOGUE]


@pytest.mark.parametrize("container", CATALOGUE, ids=lambda each: each.name)
def test_a_container_ends_as_the_catalogue_says(container: Container) -> None:
    ends = ENDS[container.name]
    match container.default_ttl:
        case None:
            assert ends.startswith("no end")
        case ttl if ttl == NO_EXPIRY_UNLESS_ITEM_SAYS_SO:
            assert re.match(r"each (row|document): ", ends)
        case ttl:
            assert ends.startswith(f"{days(ttl)} after the last write")


def test_the_lifetimes_are_those_of_the_specification() -> None:
    catalogued = {each.name: each.default_ttl for each in CATALOGUE}
    assert {name: catalogued[name] for name in SPECIFIED} == SPECIFIED
    assert {name for name in WITHOUT_END if catalogued[name] is not None} == set()


def test_numbers_of_the_state_are_those_of_the_code() -> None:
    margin = f"{Retention().margin_days} days"
    assert margin in ENDS["view_state"]
    assert days(DECIDED_TTL) in ENDS["poison_messages"]
    assert days(REFUSAL_TTL) in ENDS["fleet_state"]
    assert days(AUDIT_TTL) in ENDS["fleet_state"]
    assert days(REFUSAL_TTL) in LONGER
    assert f"{Settings().deletion_grace_days} days" in ENDS["users"]
    assert f"{31 + Retention().margin_days} days longer" in LONGER


def test_other_stores_have_their_end() -> None:
    ends = {name: end for name, _, end, *_ in rows(STORES)}
    assert ends["exports as blobs"].startswith(f"{LIFETIME.days} days ")
    for store in ("archive", "manifests", "tombstones", "histories", "logs", "backup"):
        assert any(store in name for name in ends), store
    assert all(ends.values())
