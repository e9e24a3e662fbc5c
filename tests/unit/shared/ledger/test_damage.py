"""State that was deleted or put back to an earlier version is noticed before anything wrong is counted.

Each example counts documents, takes one document of the state away or puts an earlier version of it in its
place, and counts one more. Either that is refused, or every figure is that of all documents.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.errors import DamagedStateError
from shared.facts import InteractionFact, Uncounted
from shared.ledger.changes import Change
from shared.ledger.pages import Page
from shared.ledger.partials import Partial
from shared.units import Millis
from tests.unit.shared.aggregates.fact_strategies import interactions, millis
from tests.unit.shared.ledger.memory_shard import MemoryShard, change

HOUR = millis("2025-07-05T10:00:00")
INTERACTION = InteractionFact(user_id="ana", at=HOUR)

facts = st.lists(
    st.tuples(interactions, st.integers(0, 3_599_999), st.sampled_from(["ana", "ben"])).map(
        lambda drawn: replace(drawn[0], at=Millis(HOUR + drawn[1]), user_id=drawn[2])
    ),
    min_size=2,
    max_size=5,
)
"""Facts of one hour: each concerns the page of those before it."""


def fold_all(shard: MemoryShard, changes: list[Change]) -> list[dict[str, Any]]:
    """Fold changes one after the other; return the documents before each."""
    before = []
    for each in changes:
        before.append(copy.deepcopy(shard.documents))
        shard.fold(each)
    return before


@settings(max_examples=60, deadline=None)
@given(facts, st.data())
def test_a_piece_that_is_gone_or_older_is_noticed_by_the_next_document_that_concerns_it(
    found: list[Any], data: Any
) -> None:
    ids = data.draw(st.lists(st.integers(0, 5), min_size=len(found), max_size=len(found)))
    changes = [
        change(fact, f"i{document}", number + 1)
        for number, (fact, document) in enumerate(zip(found, ids, strict=True))
    ]
    *earlier, last = changes
    shard, right = MemoryShard(), MemoryShard()
    moments = fold_all(shard, earlier)
    for each in changes:
        right.fold(each)
    name = data.draw(st.sampled_from(sorted(shard.documents)))
    put_back = data.draw(st.sampled_from([moment.get(name) for moment in moments]))
    assume(put_back is None or name.startswith(("ledger|", "partial|day|")))
    assume(put_back is None or put_back.etag != shard.documents[name].etag)
    if put_back is None:
        del shard.documents[name]
    else:  # as an upsert by hand does: an earlier content with a new etag
        shard.documents[name] = put_back._replace(etag="by hand")
    with_damage = copy.deepcopy(shard.documents)
    try:
        shard.fold(last)
    except DamagedStateError:
        assert shard.documents == with_damage
        return
    for written in shard.written:  # whatever was counted is as if nothing were damaged
        here, there = shard.documents[written].document, right.documents[written].document
        if isinstance(here, Page) and isinstance(there, Page):
            assert here.entries == there.entries
        elif isinstance(here, Partial) and isinstance(there, Partial):
            assert here.state == there.state


@pytest.mark.parametrize("kind", ["page", "day", "person", "month"])
def test_each_kind_of_piece_is_named_without_a_person(kind: str) -> None:
    shard = MemoryShard()
    fact = INTERACTION
    shard.fold(change(fact, "i1", 1))
    gone = {
        "page": next(iter(shard.pages())),
        "day": f"partial|day|{fact.day}",
        "person": f"partial|person|{fact.user_id}",
        "month": f"partial|person_month|{fact.month}|{fact.user_id}",
    }[kind]
    del shard.documents[gone]
    with pytest.raises(DamagedStateError) as raised:
        shard.fold(change(fact, "i2", 2))
    named = {"person": "a person's record", "month": f"a person's month {fact.month}"}
    assert f"the state of {named.get(kind, f'the day {fact.day}')} is damaged" in str(raised.value)
    assert fact.user_id not in str(raised.value)
    assert ("FLEET_GENERATION" if kind == "person" else "fleet views rebuild") in str(raised.value)


def test_an_uncounted_entry_needs_no_month() -> None:
    shard = MemoryShard()
    fact = INTERACTION
    shard.fold(change(Uncounted(fact.user_id, Millis(fact.at)), "i1", 1))
    shard.fold(change(fact, "i2", 2))
    assert shard.partial(f"partial|person_month|{fact.month}|{fact.user_id}")
