"""``person_month``: what one person did in one month, by day."""

from __future__ import annotations

import pytest

from shared.aggregates.base import STATE_TTL, Changed, Contributions, PersonChange, hash_key
from shared.aggregates.person_month import PersonMonth, by_day, month_key, split_key
from shared.aggregates.tally import Tally
from shared.facts import Citation, ConsentFact, Fact, IncidentFact, InteractionFact, SessionFact
from shared.units import Micro, Month, NanoUSD
from tests.unit.shared.aggregates.fact_strategies import (
    contributions,
    millis,
)

AGGREGATE = PersonMonth()
AT = millis("2025-08-05T14:00:00")


def counted(*some: Fact) -> dict[str, dict[str, dict[str, int]]]:
    """Return by key what facts count."""
    return {target.key: delta.encode() for target, delta in contributions(AGGREGATE, some).deltas.items()}


def test_an_interaction_counts_in_the_part_of_its_day() -> None:
    fact = InteractionFact(
        user_id="ana",
        at=AT,
        tokens_in=1,
        tokens_out=1,
        cost=NanoUSD(7),
        persona="krishna",
        session_id="s",
        rating=4,
        category="duty",
        complexity="medium",
        citations=(
            Citation("gita", "2", "47", Micro(900_000)),
            Citation("gita", "2", "47", None),
            Citation("gita", "3", None, None),
        ),
    )
    assert counted(fact) == {
        "202508|ana": {
            "05:sums": {
                "interactions": 1,
                "cited": 1,
                "in_session": 1,
                "complexity": 500_000,
                "complexity#": 1,
                "rating": 4,
                "rating#": 1,
                "cost": 7,
                "cost#": 1,
            },
            "05:hours": {"14": 1},
            "05:sessions": {hash_key("s"): 1},
            "05:personas": {"krishna": 1},
            "05:categories": {"duty": 1},
            "05:texts": {"gita": 3},
            "05:passages": {hash_key("gita|2|47"): 2, hash_key("gita|3|"): 1},
        }
    }


def test_an_interaction_that_tells_nothing_counts_as_unmeasured() -> None:
    assert counted(InteractionFact(user_id="ana", at=AT)) == {
        "202508|ana": {
            "05:sums": {"interactions": 1, "unmeasured": 1},
            "05:hours": {"14": 1},
            "05:personas": {"unknown": 1},
        }
    }


@pytest.mark.parametrize(
    ("complexity", "sums"),
    [
        ("low", {"complexity#": 1}),
        ("high", {"complexity": 1_000_000, "complexity#": 1}),
        ("unheard of", {}),
        (None, {}),
    ],
)
def test_only_the_specification_s_words_measure_complexity(
    complexity: str | None, sums: dict[str, int]
) -> None:
    fact = InteractionFact(user_id="ana", at=AT, complexity=complexity)
    assert counted(fact)["202508|ana"]["05:sums"] == {"interactions": 1, "unmeasured": 1, **sums}


@pytest.mark.parametrize(
    ("seconds", "length"),
    [(0, "short"), (299, "short"), (300, "medium"), (900, "medium"), (901, "long")],
)
def test_a_session_counts_in_the_part_of_its_day_with_its_length(seconds: int, length: str) -> None:
    fact = SessionFact(
        user_id="ana", at=AT, session_id="s", seconds=seconds, outcome="completed", depth=Micro(250_000)
    )
    sums = {"session_seconds": seconds, "session_seconds#": 1, "depth": 250_000, "depth#": 1}
    assert counted(fact) == {
        "202508|ana": {
            "05:sessions": {hash_key("s"): 1},
            "05:sums": {name: amount for name, amount in sums.items() if amount},
            "05:session_lengths": {length: 1},
            "05:outcomes": {"completed": 1},
        }
    }


def test_a_session_and_its_interactions_count_under_one_name() -> None:
    month = counted(
        SessionFact(user_id="ana", at=AT, session_id="s"),
        InteractionFact(user_id="ana", at=AT, session_id="s"),
    )["202508|ana"]
    assert month["05:sessions"] == {hash_key("s"): 2}


def test_incidents_and_accounts_count_in_no_month() -> None:
    assert counted(IncidentFact(user_id="ana", at=AT), ConsentFact(user_id="ana", at=AT)) == {}


def active_on(*days: str, refused: int = 0) -> Tally:
    state = Tally({"days": dict.fromkeys(days, 1)} if days else {})
    state.add("refused", refused)
    return state


def derived(before: Tally, after: Tally, **months: Changed) -> dict[str, dict[str, int]]:
    """Return by key the sums that the change of a person adds to; ``m202508`` is the month 202508."""
    into = Contributions()
    changed = {Month(name.removeprefix("m")): states for name, states in months.items()}
    AGGREGATE.derive(PersonChange("ana", Changed(before, after), changed), into)
    assert {target.aggregate for target in into.deltas} <= {"person_month"}
    return {target.key: delta.encode()["sums"] for target, delta in into.deltas.items() if delta}


EMPTY, VISITED = Tally(), Tally({"05:sums": {"interactions": 1}})


def test_the_first_month_of_a_person_is_marked() -> None:
    assert derived(active_on(), active_on("2025-08-05")) == {"202508|ana": {"first": 1}}
    assert derived(active_on("2025-08-05"), active_on()) == {"202508|ana": {"first": -1}}


def test_an_earlier_month_that_arrives_late_moves_the_mark() -> None:
    assert derived(active_on("2025-08-05"), active_on("2025-05-01", "2025-08-05")) == {
        "202508|ana": {"first": -1},
        "202505|ana": {"first": 1},
    }


def test_refusing_marks_every_month_that_has_state_and_agreeing_removes_the_marks() -> None:
    agrees, refuses = active_on("2025-08-05"), active_on("2025-08-05", refused=1)
    months = {"m202508": Changed(VISITED, VISITED), "m202506": Changed(EMPTY, EMPTY)}
    assert derived(agrees, refuses, **months) == {"202508|ana": {"refused": 1}}
    assert derived(refuses, agrees, **months) == {"202508|ana": {"refused": -1}}


def test_a_month_that_begins_or_ends_while_a_person_refuses_is_marked_for_as_long() -> None:
    refuses = active_on("2025-08-05", refused=1)
    assert derived(refuses, refuses, m202508=Changed(EMPTY, VISITED)) == {"202508|ana": {"refused": 1}}
    assert derived(refuses, refuses, m202508=Changed(VISITED, EMPTY)) == {"202508|ana": {"refused": -1}}
    assert derived(refuses, refuses, m202508=Changed(VISITED, VISITED)) == {}


def test_a_key_holds_the_month_and_a_user_id_of_any_form() -> None:
    assert month_key(Month("202508"), "a|b") == "202508|a|b"
    assert split_key("202508|a|b") == ("202508", "a|b")


def test_the_parts_of_a_month_come_in_the_order_of_its_days() -> None:
    state = Tally(
        {"10:texts": {"gita": 1}, "02:texts": {"gita": 2}, "02:hours": {"14": 1}, "sums": {"first": 1}}
    )
    assert [(day, part.encode()) for day, part in by_day(state).items()] == [
        ("02", {"texts": {"gita": 2}, "hours": {"14": 1}}),
        ("10", {"texts": {"gita": 1}}),
    ]


def test_a_month_lies_in_the_shard_of_its_person_and_outlives_its_documents() -> None:
    assert AGGREGATE.owner_of("202508|ana") == "ana"
    assert AGGREGATE.first_day("202508|ana") == "2025-08-01"
    assert AGGREGATE.ttl == STATE_TTL
