"""When rounds of work over people begin, and what is left of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.shards import ShardId
from shared.publishing.rounds import Round, Rounds, Task, TierRequest
from shared.units import Month

NOON = datetime(2025, 9, 15, 12, 0, 20, tzinfo=UTC)
A, B = ShardId("1:0000"), ShardId("1:0001")


def done(now: datetime) -> Rounds:
    """Return the rounds after everything was done at a time."""
    began = int(now.timestamp())
    return Rounds({task: Round(1, task.slot(now), 0, began) for task in Task})


def due(rounds: Rounds, now: datetime) -> set[Task]:
    return {task for task in Task if rounds.is_due(task, now)}


def test_at_first_everything_is_due_and_then_each_task_in_its_next_slot() -> None:
    assert due(Rounds(), NOON) == set(Task)
    rounds = done(NOON)
    assert due(rounds, NOON) == due(rounds, NOON + timedelta(minutes=59)) == set()
    assert due(rounds, NOON + timedelta(hours=1)) == {Task.CHANGED_HOURLY}
    assert due(rounds, NOON + timedelta(hours=12)) == set(Task)
    in_the_morning = done(NOON - timedelta(hours=1))
    assert due(in_the_morning, NOON) == set(Task) - {Task.CONSENT}


def test_a_round_that_is_not_done_is_finished_before_the_next_begins() -> None:
    rounds = done(NOON).with_round(Task.AGED, Round(2, "earlier", 0, 5, {A: "x"}))
    assert Task.AGED not in due(rounds, NOON + timedelta(days=1))
    assert not rounds.is_finished(NOON)
    finished = rounds.with_round(Task.AGED, rounds.of(Task.AGED).advanced({A: None}))
    assert Task.AGED in due(finished, NOON)


def test_a_round_looks_back_to_the_beginning_of_the_one_before() -> None:
    following = Round(3, "slot", 10, 20).next("later", 30, {A: "x"})
    assert following == Round(4, "later", 20, 30, {A: "x"})


def test_again_begins_the_tasks_that_it_names_once_more() -> None:
    rounds = done(NOON).again([Task.AGED])
    assert due(rounds, NOON) == {Task.AGED}
    assert due(done(NOON).again(list(Task)), NOON) == set(Task)


positions = st.one_of(st.none(), st.text("abc", max_size=3))


@given(
    st.dictionaries(st.sampled_from([A, B]), st.text("abc", max_size=3)),
    st.lists(st.dictionaries(st.sampled_from([A, B]), positions)),
)
def test_positions_never_go_back_and_a_shard_that_is_done_stays_done(
    left: dict[ShardId, str], pieces: list[dict[ShardId, str | None]]
) -> None:
    current = Round(left=left)
    for piece in pieces:
        following = current.advanced(piece)
        assert following.left.keys() <= current.left.keys()
        assert all(position >= current.left[shard] for shard, position in following.left.items())
        assert not {shard for shard, position in piece.items() if position is None} & following.left.keys()
        current = following


def test_tiers_are_asked_for_after_a_change_and_once_in_a_half_day_without() -> None:
    asked = Rounds().asking_for_tiers(NOON, frozenset(), changed=False, asked=7)
    assert asked.tiers.asked == 7
    met = asked.with_tiers(asked.tiers)
    assert met.tiers.asked == 0
    assert met.asking_for_tiers(NOON, frozenset(), changed=False, asked=8) == met
    assert met.asking_for_tiers(NOON, frozenset(), changed=True, asked=8).tiers.asked == 8
    later = met.asking_for_tiers(NOON + timedelta(hours=12), frozenset(), changed=False, asked=9)
    assert later.tiers.asked == 9


def test_a_request_for_tiers_that_arose_meanwhile_stays() -> None:
    july, august = frozenset({Month("202507")}), frozenset({Month("202508")})
    first = Rounds().asking_for_tiers(NOON, july, changed=True, asked=7)
    second = first.asking_for_tiers(NOON, august, changed=True, asked=8)
    assert second.with_tiers(first.tiers).tiers == second.tiers
    assert second.tiers.months == july | august


def test_rounds_are_stored_as_they_are() -> None:
    rounds = done(NOON).with_round(Task.AGED, Round(2, "s", 3, 4, {A: "partial|x", B: ""}))
    rounds = rounds.asking_for_tiers(NOON, frozenset({Month("202508")}), changed=True, asked=5)
    assert Rounds.decode(json.loads(json.dumps(rounds.encode()))) == rounds
    assert rounds.tiers == TierRequest(5, frozenset({Month("202508")}), True, "2025-09-15pm")


def test_what_an_earlier_release_stored_begins_everything() -> None:
    assert Rounds.decode({"since": 5, "half": "", "half_since": 5}) == Rounds.decode(None) == Rounds()
