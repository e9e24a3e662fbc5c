"""``person``: when a person was active, and which of their months a change concerns."""

from __future__ import annotations

import pytest
from hypothesis import given

from shared.aggregates import person as module
from shared.aggregates.base import FOREVER, Contributions, hash_key
from shared.aggregates.person import Person, months_affected, uncount
from shared.aggregates.tally import Tally
from shared.facts import ConsentFact, Fact, IncidentFact, InteractionFact, SessionFact
from shared.facts.base import Uncounted
from tests.unit.shared.aggregates.fact_strategies import (
    contributions,
    facts,
    millis,
)

AGGREGATE = Person()
AT = millis("2025-08-05T14:00:00")


@given(facts)
def test_every_fact_counts_so_that_the_state_says_whether_a_person_has_entries(fact: Fact) -> None:
    assert contributions(AGGREGATE, [fact]).partial("person", fact.user_id)


@pytest.mark.parametrize(
    ("fact", "counted"),
    [
        (InteractionFact(user_id="ana", at=AT), {"days": {"2025-08-05": 1}}),
        (SessionFact(user_id="ana", at=AT, session_id="s"), {"session_days": {"2025-08-05": 1}}),
        (IncidentFact(user_id="ana", at=AT), {"sums": {"incidents": 1}}),
        (
            IncidentFact(user_id="ana", at=AT, interaction="i"),
            {"sums": {"incidents": 1}, "flagged": {hash_key("i"): 1}},
        ),
        (ConsentFact(user_id="ana", at=AT), {"sums": {"accounts": 1}}),
        (ConsentFact(user_id="ana", at=AT, refused=True), {"sums": {"accounts": 1, "refused": 1}}),
    ],
)
def test_each_kind_of_fact_counts_in_the_state_of_its_person(
    fact: Fact, counted: dict[str, dict[str, int]]
) -> None:
    assert {target: delta.encode() for target, delta in contributions(AGGREGATE, [fact]).deltas.items()} == {
        ("person", "ana"): counted
    }


@pytest.mark.parametrize(
    ("refused", "counted"), [(False, {"withdrawn": 1}), (True, {"withdrawn": 1, "refused": 1})]
)
def test_a_document_that_cannot_be_read_is_counted_as_an_entry(
    refused: bool, counted: dict[str, int]
) -> None:
    into = Contributions()
    uncount(Uncounted("ana", AT, refused), into)
    assert {target: delta.encode() for target, delta in into.deltas.items()} == {
        ("person", "ana"): {"sums": counted}
    }


def test_the_state_tells_days_months_and_consent() -> None:
    state = Tally(
        {
            "days": {"2025-08-05": 2, "2025-08-06": 1, "2025-06-30": 1},
            "session_days": {"2025-05-31": 1, "2025-08-05": 1},
            "flagged": {hash_key("i"): 1},
        }
    )
    assert module.days(state) == {"2025-08-05", "2025-08-06", "2025-06-30"}
    assert module.active_months(state) == {"202506", "202508"}
    assert module.months(state) == {"202505", "202506", "202508"}
    assert module.first_month(state) == "202506"  # a session alone is no activity
    assert module.is_flagged(state, "i")
    assert not module.is_flagged(state, "j")
    assert not module.refused(state)


def test_a_person_without_activity_has_no_first_month() -> None:
    assert module.first_month(Tally({"session_days": {"2025-05-31": 1}})) is None


def test_one_account_that_refuses_is_enough() -> None:
    assert module.refused(Tally({"sums": {"accounts": 2, "refused": 1}}))
    assert not module.refused(Tally({"sums": {"accounts": 2}}))


def active_on(*days: str, refused: int = 0) -> Tally:
    state = Tally({"days": dict.fromkeys(days, 1)} if days else {})
    state.add("refused", refused)
    return state


@pytest.mark.parametrize(
    ("before", "after", "months"),
    [
        (active_on(), active_on("2025-08-05"), {"202508"}),
        (active_on("2025-08-05"), active_on("2025-08-05", "2025-08-09"), set()),
        (active_on("2025-08-05"), active_on("2025-08-05"), set()),
        # Another first month: both change. The month after a new month may now be a return.
        (active_on("2025-08-05"), active_on("2025-05-01", "2025-08-05"), {"202505", "202508"}),
        (
            active_on("2025-05-01", "2025-08-05"),
            active_on("2025-05-01", "2025-07-01", "2025-08-05"),
            {"202508"},
        ),
        (active_on("2025-05-01"), active_on("2025-05-01", "2025-07-01"), set()),
        (active_on("2024-12-31", "2025-01-01"), active_on("2025-01-01"), {"202412", "202501"}),
        # Consent concerns all months.
        (
            active_on("2025-05-01", "2025-08-05"),
            active_on("2025-05-01", "2025-08-05", refused=1),
            {"202505", "202508"},
        ),
        (
            active_on("2025-08-05", refused=1),
            active_on("2025-08-05", refused=2),
            set(),
        ),
    ],
)
def test_a_change_concerns_the_months_whose_meaning_depends_on_it(
    before: Tally, after: Tally, months: set[str]
) -> None:
    assert months_affected(before, after) == months
    assert months_affected(after, before) == months


def test_the_state_lies_in_the_shard_of_its_person_and_never_expires() -> None:
    assert AGGREGATE.owner_of("ana") == "ana"
    assert AGGREGATE.first_day("ana") is None
    assert AGGREGATE.ttl == FOREVER
