"""The demonstration: one command from nothing to views whose figures add up."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.commands import local

pytestmark = pytest.mark.acceptance


def test_the_demo_ends_well_and_its_figures_add_up() -> None:
    run = local("demo", "--users", 8, "--interactions", 400, "--days", 5, "--seed", 3, "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    outcome = json.loads(run.stdout)
    assert outcome["adds_up"] is True
    # Compared here once more, so that a comparison that the demo forgot would show.
    written = outcome["written"]
    assert written["documents"] == 400
    assert outcome["counted"] + outcome["poison"] == 400
    assert outcome["poison"] == sum(written["malformed"].values()) == 2
    assert outcome["days"] == len(written["per_day"])
    # One document per person and month, but for those who refuse to be analysed.
    assert outcome["people"] >= written["users"] - written["users_refusing_analytics"]
    beside = {"abuse_incidents", "personalities", "personality_vectors", "user_sessions", "users"}
    assert {name for name, one in written["containers"].items() if one["documents"]} > beside
    assert outcome["request_units"] > 400
    # Views that wait for a timer are published too. The health of minutes without traffic is not.
    published = outcome["published"]
    assert {name for name, documents in published.items() if not documents} <= {"system_health"}
    assert published["content_popularity"] >= outcome["days"]
