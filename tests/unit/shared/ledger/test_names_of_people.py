"""One person adds only some names to what people share."""

from __future__ import annotations

from shared.facts import InteractionFact
from shared.ledger.changes import Verdict
from shared.ledger.room import PERSON_NAMES_BYTES
from tests.unit.shared.aggregates.fact_strategies import millis
from tests.unit.shared.ledger.memory_shard import MemoryShard, change


def asked(number: int, user_id: str, model: str) -> InteractionFact:
    at = millis(f"2025-08-05T{number % 24:02d}:00:00")
    return InteractionFact(user_id=user_id, at=at, model=model)


def test_a_person_with_ever_new_names_leaves_room_for_everybody_else() -> None:
    shard = MemoryShard()
    verdicts = []
    for number in range(200):
        fact = asked(number, "ana", f"{number:0>64}")
        verdicts += shard.fold(change(fact, f"i{number}", number))
    most = PERSON_NAMES_BYTES // 64
    assert verdicts == [Verdict.ADDED] * verdicts.count(Verdict.ADDED) + [Verdict.FULL] * (
        200 - verdicts.count(Verdict.ADDED)
    )
    assert most - 2 <= verdicts.count(Verdict.ADDED) <= most
    # With a name that is known, the person is counted on; and others bring new names.
    assert shard.fold(change(asked(1, "ana", f"{0:0>64}"), "known", 1_000)) == [Verdict.ADDED]
    assert shard.fold(change(asked(2, "bob", "new"), "new", 1_001)) == [Verdict.ADDED]
